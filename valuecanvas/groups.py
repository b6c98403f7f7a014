"""The groups that come by themselves, with the least rights for their work."""

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q

OPERATORS = "Operators"
AUDITORS = "Auditors"

# What both may look at. Users, groups and schedules' kinds are for superusers.
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
    """Make the groups that are missing; the names of those made.

    A group that exists is left alone: superusers may have changed its rights.
    """
    looks = [f"{app}.view_{model}" for app, model in _split(VIEWED)]
    wanted = {AUDITORS: looks, OPERATORS: [*looks, *OPERATED]}
    made = []
    for name, rights in wanted.items():
        with transaction.atomic():
            group, new = Group.objects.get_or_create(name=name)
            if new:
                group.permissions.set(_permissions(rights))
                made.append(name)
    return made


def _split(names: tuple[str, ...]) -> list[list[str]]:
    return [name.split(".") for name in names]


def _permissions(rights: list[str]) -> list[Permission]:
    """The permissions of 'app.codename's. Raises LookupError where one is unknown."""
    asked = Q()
    for right in rights:
        app, codename = right.split(".")
        asked |= Q(content_type__app_label=app, codename=codename)
    found = list(Permission.objects.filter(asked).select_related("content_type"))
    known = {f"{one.content_type.app_label}.{one.codename}" for one in found}
    if missing := set(rights) - known:
        raise LookupError(f"No such rights: {', '.join(sorted(missing))}")
    return found
