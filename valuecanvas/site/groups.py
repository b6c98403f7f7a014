"""The built-in groups, with the least rights for their work."""

from collections.abc import Collection, Sequence

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Max

from valuecanvas.core.models import GivenRight

OPERATORS = "Operators"
AUDITORS = "Auditors"

# Both groups may view these; the verbs are the daily work, of operators. Missing on
# purpose: adding providers and setting their endpoints (that sends keys to a host),
# channels of alerts (that sends names and sums to a host), exporting, erasing and
# deleting customers, deleting teams and tiers, users and groups, kinds of schedules, who
# may move protected labels, and reading what customers sent with jobs
# (llm.view_job_content).
VERBS = {
    "admin.logentry": "",
    "backups.backup": "make",
    "billing.alertchannel": "test",
    "billing.alertevent": "",
    "billing.alertrule": "add change delete",
    "billing.apikey": "add change",
    "billing.budget": "add change delete",
    "billing.counter": "",
    "billing.customer": "add change",
    "billing.idempotentreplay": "",
    "billing.ledgercheck": "run",
    "billing.price": "add change",
    "billing.refusal": "",
    "billing.request": "",
    "billing.reservation": "",
    "billing.team": "add change",
    "billing.tier": "add change",
    "billing.usage": "",
    "core.loglevel": "add change delete",
    "core.webhookdelivery": "resend",
    "core.webhookendpoint": "change",
    "django_celery_beat.periodictask": "change",
    "flags.flag": "add change delete kill",
    "flags.flagevent": "",
    "llm.attempt": "",
    "llm.breakerevent": "",
    "llm.breakeroverride": "add change delete",
    "llm.cacheepoch": "add",
    "llm.feedback": "",
    "llm.job": "operate",
    "llm.jobbatch": "",
    "llm.jobfile": "delete",
    "llm.model": "add change",
    "llm.provider": "change",
    "llm.recurringjob": "add change delete",
    "llm.route": "add change delete",
    "prompts.experiment": "add change delete",
    "prompts.prompt": "add change publish",
    "prompts.promptevent": "",
    "prompts.protectedlabel": "",
    "waffle.sample": "add change delete",
    "waffle.switch": "add change delete",
}


def _right(name: str, verb: str) -> str:
    app, model = name.split(".")
    return f"{app}.{verb}_{model}"


VIEWED = ("core.view_status", *(_right(name, "view") for name in VERBS))
OPERATED = (
    "llm.pause_jobs",
    "llm.use_playground",
    *(_right(name, verb) for name, verbs in VERBS.items() for verb in verbs.split()),
)


def ensure_groups() -> list[str]:
    """Create or update the built-in groups. Returns the names of those that changed.

    A right is granted once: changes by superusers stay. A right that this version no
    longer grants is removed.
    """
    wanted = {AUDITORS: VIEWED, OPERATORS: (*VIEWED, *OPERATED)}
    return [name for name, rights in wanted.items() if _ensure(name, rights)]


def _ensure(name: str, rights: Sequence[str]) -> bool:
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
        group.permissions.remove(*find_permissions(gone).values())
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
