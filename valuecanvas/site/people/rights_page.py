"""The page 'Who may do what': each right with the groups that give it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.text import capfirst

from valuecanvas.site.people.ready_groups import READY_GROUPS, SENTENCES
from valuecanvas.site.sidebar import GROUPS

VERBS = {"view": "See", "add": "Add", "change": "Change", "delete": "Delete"}
MOST_PEOPLE = 500


@dataclass(frozen=True, slots=True)
class Right:
    """One row: an act, the groups that may do it, and why the chosen person may."""

    act: str
    marks: list[bool]
    sources: list[str]


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the console with what can be done there."""

    title: str
    rights: list[Right]


def show(request: HttpRequest) -> HttpResponse:
    """For all staff, about themselves; superusers may choose another person."""
    user: Any = request.user
    person = user
    if user.is_superuser and request.GET.get("user"):
        person = get_object_or_404(_staff(), username=request.GET["user"])
    groups = _groups()
    context = {
        **admin.site.each_context(request),
        "title": "Who may do what",
        "groups": [(one.name, SENTENCES.get(one.name, "")) for one in groups],
        "areas": list(_areas(groups, person)),
        "person": person,
        "is_me": person == user,
        "people": _staff()[:MOST_PEOPLE] if user.is_superuser else (),
    }
    return TemplateResponse(request, "admin/people/rights.html", context)


def _staff() -> Any:
    return User.objects.filter(is_staff=True).order_by("username")


def _groups() -> list[Group]:
    """The ready ones first, in their order; then the others by name."""
    order = [one.name for one in READY_GROUPS]
    rows = Group.objects.prefetch_related("permissions").order_by("name")
    places = {name: place for place, name in enumerate(order)}
    return sorted(rows, key=lambda one: places.get(one.name, len(order)))


def _areas(groups: list[Group], person: User) -> Iterator[Area]:
    held = {one.pk: {right.pk for right in one.permissions.all()} for one in groups}
    own = set(person.user_permissions.values_list("pk", flat=True))
    member_of = set(person.groups.values_list("pk", flat=True))

    def explain(pk: int) -> list[str]:
        if not person.is_active:
            return []
        if person.is_superuser:
            return ["superuser"]
        names = [g.name for g in groups if g.pk in member_of and pk in held[g.pk]]
        return [*names, *(["a right of their own"] if pk in own else [])]

    for title, found in _permissions_by_area(own.union(*held.values())):
        yield Area(
            title,
            [
                Right(
                    _act(one), [one.pk in held[g.pk] for g in groups], explain(one.pk)
                )
                for one in found
            ],
        )


def _permissions_by_area(
    held: Collection[int],
) -> Iterator[tuple[str, list[Permission]]]:
    """As in the sidebar; what is on no page of its own comes last."""
    rows = Permission.objects.select_related("content_type").order_by("pk")
    left = {
        f"{one.content_type.app_label}.{one.codename}": one
        for one in rows
        if one.pk in held or _is_used(one)
    }
    for item in (item for _, items in GROUPS for item in items):
        one = left.pop(item.permission, None)
        if one is None:
            continue
        kin = [one]
        if one.codename == f"view_{one.content_type.model}":
            names = [n for n, other in left.items() if other.content_type == one.content_type]  # fmt: skip
            kin += [left.pop(name) for name in names]
        yield item.title, kin
    for kind in dict.fromkeys(one.content_type for one in left.values()):
        yield (
            str(capfirst(kind.name)),
            [one for one in left.values() if one.content_type == kind],
        )


def _is_used(permission: Permission) -> bool:
    """Whether a page does something with this right: many rows nobody changes."""
    verb, kind = _verb(permission), permission.content_type.model_class()
    if not verb:
        return True
    if kind is None or not admin.site.is_registered(kind):
        return False
    request = HttpRequest()
    request.user = User(is_superuser=True)
    page = admin.site.get_model_admin(kind)
    return bool(getattr(page, f"has_{verb}_permission")(request))


def _verb(permission: Permission) -> str:
    """view, add, change or delete; '' for a right of another name."""
    verb, _, model = permission.codename.partition("_")
    usual = verb in VERBS and model == permission.content_type.model
    return verb if usual else ""


def _act(permission: Permission) -> str:
    verb = _verb(permission)
    return VERBS[verb] if verb else str(capfirst(permission.name.removeprefix("Can ")))
