"""Chaos experiments: only superusers write and start them, with a recent log-in."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.urls import reverse
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from llm.admin.chaos.estimate import estimate
from llm.admin.chaos.experiment_form import FAULT_FIELDS, ChaosExperimentForm
from llm.admin.chaos.run_page import STATES
from llm.admin.chaos.sentence import describe_plan
from llm.admin.chaos.switched import ChaosAdmin
from llm.chaos import chaos_runs, chaos_windows
from llm.chaos.plan import write_plan
from llm.models.chaos import ChaosExperiment, ChaosRun
from valuecanvas.core.access.recent_login import RecentLoginAdmin
from valuecanvas.core.admin.bases import display, fieldset
from valuecanvas.core.admin.pages import ConfirmPage
from valuecanvas.core.db.periodic_work import find_crontab
from valuecanvas.core.errors import Conflict

LIMITS = (
    fieldset(
        "Aborted unless this holds",
        "most_error_percent",
        "least_availability_percent",
        "most_p95_ms",
        "most_cost_usd",
    ),
    fieldset("Limits", "blast_percent", "ttl_s"),
)


def sentence(experiment: ChaosExperiment) -> str:
    """What the experiment does, and for how long."""
    return describe_plan(write_plan(experiment), ttl_s=experiment.ttl_s)


class StartPage(ConfirmPage):
    """Shows who will be met and the limits, then starts the experiment."""

    name = "start"
    needs = "view"
    recent_login = True
    template = "admin/llm/chaos/start.html"
    verb = "Start it"
    danger = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        if not self.request.user.is_superuser:
            raise PermissionDenied
        self.title = f"Start: {self.original.name}"
        self.text = sentence(self.original)

    def context(self, conflict: Conflict | None) -> dict[str, Any]:
        return {
            "experiment": self.original,
            "estimate": estimate(self.original),
            "forbidden": chaos_windows.why_forbidden(),
            "ends_s": settings.CHAOS_LEASE_S,
            "most_percent": settings.CHAOS_MOST_PERCENT,
        }

    def act(self, form: Any) -> str:
        try:
            reason = form.cleaned_data["reason"]
            self.run = chaos_runs.start(
                self.original, by=self.request.user, reason=reason
            )
        except chaos_runs.RunRefused as refusal:
            raise Conflict(str(refusal)) from refusal
        return f"Started {self.original.name}. Its steady state is checked first."

    def next_url(self) -> str:
        return reverse("admin:llm_chaosrun_change", args=[self.run.pk])


@admin.register(ChaosExperiment)
class ChaosExperimentAdmin(RecentLoginAdmin, ChaosAdmin):
    pages = (StartPage,)
    form = ChaosExperimentForm
    list_display = ("name", "what", "when", "last_run", "created_by")
    list_select_related = ("created_by", "crontab")
    list_filter = (("fault", ChoicesDropdownFilter),)
    search_fields = ("name", "hypothesis")
    delete_many = False
    fieldsets = (
        fieldset(None, "name", "hypothesis"),
        fieldset("What happens", "fault", *FAULT_FIELDS, "percent"),
        fieldset("To which calls", "providers", "model_names", "endpoints"),
        fieldset("Of whom", "for_tiers", "who"),
        *LIMITS,
        fieldset(
            "Starts by itself", "starts_at", "schedule", "window_begins", "window_ends",
            description="Leave all empty to start it by hand. In production it starts only inside a window.",
            classes=("collapse",),
        ),
    )  # fmt: skip
    # The parameters of the chosen fault alone.
    conditional_fields = {
        name: f"fault == '{fault}'" for name, (fault, _) in FAULT_FIELDS.items()
    }
    # For those who may only look.
    shown_fieldsets = (
        fieldset(None, "name", "hypothesis", "what", "when"),
        *LIMITS,
    )
    change_form_outer_before_template = "admin/llm/chaos/experiment.html"
    empty_text = (
        "An experiment makes a few calls of providers slow or failing, on purpose and "
        "within limits, and shows whether callers notice. Add one; it starts only when "
        "you say so."
    )

    # Whoever writes an experiment could have it start by itself.
    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        editable = self.has_change_permission(request, obj)
        return self.fieldsets if editable else self.shown_fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = () if self.has_change_permission(request, obj) else ("what", "when")
        return (*super().get_readonly_fields(request, obj), *shown)

    def save_model(
        self, request: HttpRequest, obj: ChaosExperiment, form: Any, change: bool
    ) -> None:
        schedule = form.cleaned_data["schedule"]
        obj.crontab = find_crontab(schedule) if schedule else None
        if not change:
            obj.created_by = request.user
        super().save_model(request, obj, form, change)

    def details(self, request: HttpRequest, row: ChaosExperiment) -> dict[str, Any]:
        runs_of = row.runs.defer("plan", "samples", "findings")
        return {
            "sentence": sentence(row),
            "runs": list(runs_of[:5]),
            "forbidden": chaos_windows.why_forbidden(),
            "may_start": request.user.is_superuser,
        }

    def attach(self, rows: list[Any]) -> None:
        newest = ChaosRun.objects.filter(experiment__in=[row.pk for row in rows])
        newest = newest.order_by("experiment_id", "-started_at").distinct(
            "experiment_id"
        )
        found = {run.experiment_id: run for run in newest.only("experiment", "state")}
        for row in rows:
            row.newest = found.get(row.pk)

    @display(description="What it does")
    def what(self, experiment: ChaosExperiment) -> str:
        return sentence(experiment)

    @display(description="Starts")
    def when(self, experiment: ChaosExperiment) -> str:
        if experiment.crontab:
            return str(experiment.crontab.human_readable)
        if experiment.starts_at:
            return f"{experiment.starts_at:%Y-%m-%d %H:%M} UTC"
        if experiment.window_begins and experiment.window_ends:
            return f"{experiment.window_begins:%Y-%m-%d %H:%M} to {experiment.window_ends:%H:%M}"
        return "By hand"

    @display(description="Last run", label=STATES)
    def last_run(self, experiment: Any) -> str:
        return experiment.newest.get_state_display() if experiment.newest else "none"
