"""Breadcrumbs of admin pages."""

import re
from dataclasses import dataclass

from django import template
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.text import Truncator, capfirst

from valuecanvas.core.templatetags import figures
from valuecanvas.site import sidebar

register = template.Library()
MOST_LETTERS = 60
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
# Titles by the last part of a page's URL name.
ENDINGS = {
    "add": "Add",
    "history": "History",
    "delete": "Delete",
    "details": "Details",
    "password_change": "Change the password",
}
# Pages whose last breadcrumb is the list or the object itself.
PLAIN = ("changelist", "change", "view", "index")


@dataclass(frozen=True, slots=True)
class Crumb:
    """One breadcrumb. Without a link it is a group, or the page itself."""

    title: str
    link: str = ""


@register.inclusion_tag("admin/crumbs.html", takes_context=True)
def crumbs(context: template.Context) -> dict[str, list[Crumb]]:
    """The breadcrumbs of this page: group, list, object, action."""
    request: HttpRequest = context["request"]
    place = sidebar.current(request)
    if place is None:
        return {"crumbs": [Crumb(str(context.get("title") or "ValueCanvas"))]}
    group, item = place
    trail = [Crumb(group)] if group not in ("", item.title) else []
    trail.append(Crumb(item.title, item.link()))
    trail += _other_list(context, item)
    trail += _object(context)
    trail += _act(context, request)
    # The page itself has no link.
    trail[-1] = Crumb(trail[-1].title)
    return {"crumbs": trail}


def _other_list(context: template.Context, item: sidebar.Item) -> list[Crumb]:
    """The list, if the sidebar's link leads to another page."""
    opts = context.get("opts")
    if opts is None:
        return []
    name = f"{opts.app_label}_{opts.model_name}_changelist"
    if item.url == name or not any(name.startswith(one) for one in item.covers):
        return []
    return [Crumb(capfirst(opts.verbose_name_plural), reverse(f"admin:{name}"))]


def _object(context: template.Context) -> list[Crumb]:
    found = context.get("original") or context.get("object")
    if not isinstance(found, Model):
        return []
    opts = found._meta
    try:
        link = reverse(
            f"admin:{opts.app_label}_{opts.model_name}_change", args=[quote(found.pk)]
        )
    except NoReverseMatch:
        link = ""
    return [Crumb(short_name(found), link)]


def short_name(found: Model) -> str:
    """The object's name; of an id only the end, which differs between neighbours."""
    name = str(found)
    if UUID.fullmatch(name):
        name = f"{capfirst(str(found._meta.verbose_name))} {name}"
    short = UUID.sub(lambda one: f"…{one[0][-8:]}", name)
    return Truncator(short).chars(MOST_LETTERS)


def _act(context: template.Context, request: HttpRequest) -> list[Crumb]:
    match = request.resolver_match
    name = (match.url_name if match else "") or ""
    if name in {item.url for _, items in sidebar.GROUPS for item in items}:
        return []
    opts = context.get("opts")
    act = name.removeprefix(f"{opts.app_label}_{opts.model_name}_") if opts else name
    if act in PLAIN:
        return []
    title = ENDINGS.get(act) or str(context.get("title") or "")
    # The object is the crumb before: cut it from 'Start: it', 'Archive it', 'Details of it'.
    called = re.escape(str(context.get("original") or ""))
    title = re.sub(rf"(:| of)? {called}$", "", title) if called else title
    return [Crumb(figures.heading(title))] if title else []
