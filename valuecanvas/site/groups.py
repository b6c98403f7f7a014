"""The built-in groups, with the least rights for their work."""

from collections.abc import Collection

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Max

from valuecanvas.core.models import GivenRight

OPERATORS = "Operators"
AUDITORS = "Auditors"

# Both groups may view these. Users, groups and kinds of schedules are for superusers.
VIEWED = (
    "admin.logentry",
    "billing.apikey",
    "billing.budget",
    "billing.counter",
    "billing.customer",
    "billing.ledgercheck",
    "billing.price",
    "billing.reservation",
    "billing.team",
    "billing.tier",
    "billing.usage",
    "django_celery_beat.periodictask",
    "flags.flag",
    "flags.flagevent",
    "llm.attempt",
    "llm.breakerevent",
    "llm.breakeroverride",
    "llm.cacheepoch",
    "llm.feedback",
    "llm.model",
    "llm.provider",
    "llm.route",
    "prompts.experiment",
    "prompts.prompt",
    "prompts.promptevent",
    "prompts.protectedlabel",
    "waffle.sample",
    "waffle.switch",
)
# The daily work. Missing on purpose: adding providers and setting their endpoints
# (that sends keys to a host), deleting customers, teams and tiers, users and groups,
# and who may move protected labels.
OPERATED = (
    "billing.add_apikey",
    "billing.change_apikey",
    "billing.add_budget",
    "billing.change_budget",
    "billing.delete_budget",
    "billing.add_customer",
    "billing.change_customer",
    "billing.add_price",
    "billing.change_price",
    "billing.add_team",
    "billing.change_team",
    "billing.add_tier",
    "billing.change_tier",
    "billing.run_ledgercheck",
    "django_celery_beat.change_periodictask",
    "flags.add_flag",
    "flags.change_flag",
    "flags.delete_flag",
    "flags.kill_flag",
    "llm.add_breakeroverride",
    "llm.change_breakeroverride",
    "llm.delete_breakeroverride",
    "llm.add_cacheepoch",
    "llm.add_model",
    "llm.change_model",
    "llm.change_provider",
    "llm.add_route",
    "llm.change_route",
    "llm.delete_route",
    "llm.use_playground",
    "prompts.add_experiment",
    "prompts.change_experiment",
    "prompts.delete_experiment",
    "prompts.add_prompt",
    "prompts.change_prompt",
    "prompts.publish_prompt",
    "waffle.add_sample",
    "waffle.change_sample",
    "waffle.delete_sample",
    "waffle.add_switch",
    "waffle.change_switch",
    "waffle.delete_switch",
)


def ensure_groups() -> list[str]:
    """Create or update the built-in groups. Returns the names of those that changed.

    A right is granted once: changes by superusers stay. A right that this version no
    longer grants is removed.
    """
    viewed = [f"{app}.view_{model}" for app, model in _split(VIEWED)]
    wanted = {AUDITORS: viewed, OPERATORS: [*viewed, *OPERATED]}
    return [name for name, rights in wanted.items() if _ensure(name, rights)]


def _ensure(name: str, rights: list[str]) -> bool:
    wanted = _permissions(rights)
    with transaction.atomic():
        group, new = Group.objects.select_for_update().get_or_create(name=name)
        granted = set(
            GivenRight.objects.filter(group=group).values_list("right", flat=True)
        )
        if not new and not granted:
            granted = _rights_before_records(group, wanted)
        added = {right: one for right, one in wanted.items() if right not in granted}
        gone = granted - set(wanted)
        group.permissions.add(*added.values())
        group.permissions.remove(*_find_permissions(gone).values())
        GivenRight.objects.filter(group=group, right__in=gone).delete()
        GivenRight.objects.bulk_create(
            [GivenRight(group=group, right=right) for right in wanted],
            ignore_conflicts=True,
        )
    return new or bool(added or gone)


def _rights_before_records(group: Group, wanted: dict[str, Permission]) -> set[str]:
    """The rights that a group got from versions that did not record them.

    Ids of permissions increase. So permissions newer than all of the group's came with a
    later upgrade and are missing; older missing ones were removed by hand.
    """
    youngest = group.permissions.aggregate(Max("pk"))["pk__max"]
    if youngest is None:
        return set(wanted)
    return {right for right, one in wanted.items() if one.pk <= youngest}


def _split(names: tuple[str, ...]) -> list[list[str]]:
    return [name.split(".") for name in names]


def _permissions(rights: list[str]) -> dict[str, Permission]:
    """The permissions by 'app.codename'. Raises LookupError where one is unknown."""
    found = _find_permissions(rights)
    if missing := set(rights) - set(found):
        raise LookupError(f"No such rights: {', '.join(sorted(missing))}")
    return found


def _find_permissions(rights: Collection[str]) -> dict[str, Permission]:
    """Those of the rights that exist."""
    codenames = {right.partition(".")[2] for right in rights}
    rows = Permission.objects.filter(codename__in=codenames)
    named = {
        f"{one.content_type.app_label}.{one.codename}": one
        for one in rows.select_related("content_type")
    }
    return {right: one for right, one in named.items() if right in rights}
