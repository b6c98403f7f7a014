"""The admin of experiments: a form for drafts, a page of results after the start."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from llm.admin.experiment import charts
from llm.admin.experiment.acts import ACTS, acts
from llm.admin.experiment.forms import ArmForm, ArmFormSet, DraftForm, describe_arm
from llm.prompting.arms import faults
from llm.prompting.results import results
from prompts.experiments.drafts import create_draft, edit_draft
from prompts.models import Arm, Experiment
from prompts.models.experiment import ExperimentState
from valuecanvas.core.admin.bases import Admin, Inline, display, fieldset

STATES = {"Draft": "default", "Running": "success", "Stopped": "info"}


class ArmInline(Inline):
    model = Arm
    form = ArmForm
    formset = ArmFormSet
    extra = 0
    max_num = 10

    # Arms have the permissions of their experiment.
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("prompts.view_experiment"))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        right = "change" if obj else "add"
        return bool(request.user.has_perm(f"prompts.{right}_experiment"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("prompts.change_experiment"))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        return 0 if obj else 2

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows: QuerySet = super().get_queryset(request)
        return rows.select_related("version")


@admin.register(Experiment)
class ExperimentAdmin(Admin):
    pages = ACTS
    form = DraftForm
    inlines = (ArmInline,)
    list_display = (
        "key",
        "prompt",
        "state_text",
        "split",
        "metric",
        "started_at",
        "won",
        "owner",
    )
    list_select_related = ("prompt", "owner")
    list_filter = (("state", ChoicesDropdownFilter), ("metric", ChoicesDropdownFilter))
    fixed_fields = ("key", "prompt")
    search_fields = ("key", "prompt__key")
    autocomplete_fields = ("prompt",)
    list_defer = ("hypothesis", "conditions", "allocation", "reason")
    fieldsets = (
        fieldset(None, "key", "prompt", "hypothesis"),
        fieldset("Decided by", "metric", "alpha"),
        fieldset("For whom", "for_tiers", "who", classes=("collapse",)),
    )
    change_form_outer_before_template = "admin/llm/experiment/draft.html"
    empty_text = (
        "An experiment gives different versions of a prompt, or models, to different "
        "callers, and shows which is better. Add one, give it two arms, start it."
    )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A started experiment is history.
        deletable = obj is None or obj.state == ExperimentState.DRAFT
        return deletable and bool(super().has_delete_permission(request, obj))

    # -- drafts ----------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        found = self.find_object(request, object_id, "view")
        editable = found.state == ExperimentState.DRAFT
        if not (editable and self.has_change_permission(request, found)):
            if request.method == "POST":
                raise PermissionDenied
            return self._results(request, found)
        context = {**(extra_context or {}), "acts": acts(request, found)}
        return super().change_view(request, object_id, form_url, context)  # type: ignore[no-any-return]

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        """Saved with its arms in save_related."""

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        [arms] = formsets
        draft, given = form.draft(arms.specs()), form.instance
        if change:
            edit_draft(given, draft)
        else:
            owner = request.user.pk
            given.pk = create_draft(given.prompt, given.key, draft, owner_id=owner).pk
        # The admin's log reads these; everything is saved already.
        arms.new_objects, arms.changed_objects, arms.deleted_objects = [], [], []

    # -- the list --------------------------------------------------------------------

    def attach(self, rows: list[Any]) -> None:
        arms: dict[Any, list[Arm]] = {}
        for arm in Arm.objects.filter(experiment__in=[row.pk for row in rows]):
            arms.setdefault(arm.experiment_id, []).append(arm)
        for row in rows:
            row.listed = arms.get(row.pk, [])

    @display(description="State", ordering="state", label=STATES)
    def state_text(self, experiment: Experiment) -> str:
        return str(experiment.get_state_display())

    @display(description="Arms")
    def split(self, experiment: Any) -> str:
        return ", ".join(
            f"{a.name} {a.weight / 100:g}\u00a0%" for a in experiment.listed
        )

    @display(description="Winner", ordering="winner")
    def won(self, experiment: Experiment) -> str:
        return experiment.winner or "–"

    def _faults(self, experiment: Experiment, arms: list[Arm]) -> list[str]:
        """Why arms of a running experiment lack their model."""
        if experiment.state != ExperimentState.RUNNING:
            return []
        found = faults(arm.model for arm in arms)
        return [f"Arm {a.name}: {found[a.model]}" for a in arms if a.model in found]

    # -- results ---------------------------------------------------------------------

    def _results(self, request: HttpRequest, experiment: Experiment) -> HttpResponse:
        try:
            known, busy = results(experiment), False
        except DatabaseError:
            known, busy = None, True
        arms = list(experiment.arms.select_related("version"))
        return self.page(
            request,
            "admin/llm/experiment/results.html",
            title=f"Experiment {experiment.key}",
            original=experiment,
            experiment=experiment,
            state_type=STATES[str(experiment.get_state_display())],
            setup=[(arm, describe_arm(arm)) for arm in arms],
            acts=acts(request, experiment),
            busy=busy,
            faults=self._faults(experiment, arms),
            shown=charts.results_context(experiment, known) if known else None,
        )
