"""The files of the tree: a new model of configuration gets a line here."""

from operator import itemgetter
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import Q
from django_celery_beat.models import PeriodicTask
from waffle.models import Sample, Switch

from billing.models import Budget, Customer, Price, Team, Tier
from flags.models import ChangeState, ScheduledChange
from flags.services.schedule import check_payload
from llm.jobs.recurring import check_input
from llm.models import Model, Provider, RecurringJob, Route
from llm.models.job_queue import RECURRING_TASK
from prompts.experiments.drafts import ArmSpec, Draft, create_draft, edit_draft
from prompts.models import Arm, Experiment, Prompt, ProtectedLabel
from prompts.models.experiment import ExperimentState
from valuecanvas.config_tree.field_values import (
    KnownRows,
    parse_fields,
    read,
)
from valuecanvas.config_tree.tree_section import Document, TreeSection, compact
from valuecanvas.site.schedules import is_built_in

# A version is named by its number: the prompt is the experiment's.
_ARM = {
    name: Arm._meta.get_field(name)
    for name in ("name", "weight", "version", "model", "control")
}


class ExperimentSection(TreeSection):
    """Drafts are saved by their service, with their arms. Whether one runs is no part."""

    def document(self, row: Any) -> Document:
        arms = row.arms.select_related("version")
        found = [
            {name: read(field, arm) for name, field in _ARM.items()} for arm in arms
        ]
        return super().document(row) | {"arms": sorted(found, key=itemgetter("name"))}

    def compact(self, document: Document) -> Document:
        arms = [compact(_ARM, arm) for arm in document["arms"]]
        return super().compact(document) | {"arms": arms}

    def parse(self, given: Any) -> Document:
        rest = dict(given) if isinstance(given, dict) else given
        arms = rest.pop("arms", []) if isinstance(rest, dict) else []
        found = super().parse(rest) | {"arms": arms}
        for name in ("tiers", "conditions", "arms"):
            if not isinstance(found[name], list):
                raise ValidationError({name: "This is a list."})
        return found | {"arms": sorted(map(_parse_arm, arms), key=itemgetter("name"))}

    def save(self, row: Any, document: Document, known: KnownRows) -> Any:
        values = {name: document[name] for name in self.fields}
        prompt, key = values.pop("prompt"), values.pop("key")
        draft = Draft(arms=[ArmSpec(**arm) for arm in document["arms"]], **values)
        if row.pk:
            return edit_draft(row, draft)
        return create_draft(known.get(Prompt, prompt), key, draft)


def _parse_arm(given: Any) -> Document:
    found = parse_fields(_ARM, given)
    values = {name: value for name, value in found.items() if name != "version"}
    Arm(**values).clean_fields(exclude=["experiment", "version"])
    return found


def _customers() -> Q:
    """Those of whom something is set; others are added by their next request.

    Those that other rows of the tree refer to are exported too.
    """
    usual = Q(
        tier=settings.DEFAULT_TIER,
        suspended=False,
        requests_per_minute=None,
        tokens_per_minute=None,
        concurrent_requests=None,
    )
    budgets = Budget.objects.exclude(customer=None)
    submitters = RecurringJob.objects.values("customer")
    return ~usual | Q(pk__in=budgets.values("customer")) | Q(pk__in=submitters)


def _drop_key(row: Provider, document: Document) -> str:
    """A stored key is of its URL's origin, here as in the admin."""
    dropped = row.drop_foreign_key(str(document["base_url"]))
    return "its stored key is deleted: enter it again" if dropped else ""


# By name of the file, in the order of their references; prompts and flags come between.
FIRST = {
    "groups": TreeSection(Group),
    "tiers": TreeSection(Tier),
    "teams": TreeSection(Team),
    "customers": TreeSection(
        Customer, exported=_customers, undeletable=lambda row: "the ledger names it"
    ),
    "providers": TreeSection(Provider, adjust=_drop_key),
    "models": TreeSection(Model),
    "routes": TreeSection(Route),
    "prices": TreeSection(Price, also=("source",)),
    "budgets": TreeSection(
        Budget, without=("api_key",), exported=lambda: Q(api_key=None)
    ),
}
LAST = {
    "protected_labels": TreeSection(ProtectedLabel),
    "experiments": ExperimentSection(
        Experiment,
        without=(
            "state", "allocation", "owner", "winner", "reason", "started_at", "stopped_at",
        ),
        exported=lambda: ~Q(state=ExperimentState.STOPPED),
        unchangeable=lambda row: "" if row.state == "draft" else f"it is {row.state}",
    ),
    "scheduled_changes": TreeSection(
        ScheduledChange,
        without=("state", "created_by", "applied_at", "error"),
        exported=lambda: Q(state=ChangeState.PENDING),
        unchangeable=lambda row: "" if row.state == "pending" else f"it is {row.state}",
        check=lambda row: check_payload(row.flag, row.kind, row.payload),
    ),
    "switches": TreeSection(Switch, without=("created", "modified")),
    "samples": TreeSection(Sample, without=("created", "modified")),
    "recurring_jobs": TreeSection(
        RecurringJob, check=lambda row: check_input(row.type, row.input)
    ),
    "periodic_tasks": TreeSection(
        PeriodicTask,
        exported=lambda: ~Q(task=RECURRING_TASK),
        undeletable=lambda row: "the gateway needs it" if is_built_in(row) else "",
    ),
}  # fmt: skip
SECTIONS: dict[str, TreeSection] = {**FIRST, **LAST}
# Folders, of a file or more for each.
PROMPTS, FLAGS = "prompts", "flags"
NAMES = (*SECTIONS, PROMPTS, FLAGS)
