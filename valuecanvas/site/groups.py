"""Creates and updates the ready groups."""

from collections.abc import Collection, Sequence

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Max

from valuecanvas.core.models import GivenRight
from valuecanvas.site.people.ready_groups import READY_GROUPS, ReadyGroup


def ensure_groups() -> list[str]:
    """Create or update the ready groups. Returns the names of those that changed.

    A right is granted once: changes by superusers stay. A right that this version no
    longer grants is removed.
    """
    return [one.name for one in READY_GROUPS if _ensure(one)]


@transaction.atomic
def _ensure(ready: ReadyGroup) -> bool:
    wanted = _permissions(ready.rights)
    renamed = _rename(ready)
    group, new = Group.objects.select_for_update().get_or_create(name=ready.name)
    granted = set(
        GivenRight.objects.filter(group=group).values_list("right", flat=True)
    )
    if not new and not granted:
        # A group that somebody made under a ready group's name keeps its rights.
        granted = _rights_before_records(group, wanted) if renamed else set(wanted)
    added = {right: one for right, one in wanted.items() if right not in granted}
    gone = granted - set(wanted)
    group.permissions.add(*added.values())
    group.permissions.remove(*find_permissions(gone).values())
    GivenRight.objects.filter(group=group, right__in=gone).delete()
    GivenRight.objects.bulk_create(
        [GivenRight(group=group, right=right) for right in wanted],
        ignore_conflicts=True,
    )
    return new or renamed or bool(added or gone)


def _rename(ready: ReadyGroup) -> bool:
    """Give the group with the former name its name of today, unless that is taken."""
    if not ready.former or Group.objects.filter(name=ready.name).exists():
        return False
    return bool(Group.objects.filter(name=ready.former).update(name=ready.name))


def _rights_before_records(group: Group, wanted: dict[str, Permission]) -> set[str]:
    """The rights that a group got from versions that did not record them.

    Ids of permissions increase. So permissions newer than all of the group's came with a
    later upgrade and are missing; older missing ones were removed by hand.
    """
    youngest = group.permissions.aggregate(Max("pk"))["pk__max"]
    if youngest is None:
        return set(wanted)
    return {right for right, one in wanted.items() if one.pk <= youngest}


def _permissions(rights: Sequence[str]) -> dict[str, Permission]:
    """The permissions by 'app.codename'. Raises LookupError where one is unknown."""
    found = find_permissions(rights)
    if missing := set(rights) - set(found):
        raise LookupError(f"No such rights: {', '.join(sorted(missing))}")
    return found


def find_permissions(rights: Collection[str]) -> dict[str, Permission]:
    """Those of the rights, each 'app.codename', that exist."""
    codenames = {right.partition(".")[2] for right in rights}
    rows = Permission.objects.filter(codename__in=codenames)
    named = {
        f"{one.content_type.app_label}.{one.codename}": one
        for one in rows.select_related("content_type")
    }
    return {right: one for right, one in named.items() if right in rights}
