"""Actions on an experiment, each a page that asks for a reason."""

from typing import Any, ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from llm.admin.experiment.forms import (
    ExperimentReasonForm,
    ExperimentStartForm,
    PromoteForm,
    WeightsForm,
)
from llm.prompting import arms
from prompts.experiments import service
from prompts.models import Experiment
from prompts.models.experiment import ExperimentState
from prompts.services import PromptActor
from valuecanvas.core.admin.pages import ConfirmPage

DRAFT, RUNNING = ExperimentState.DRAFT, ExperimentState.RUNNING
STOPPED = ExperimentState.STOPPED


class ActPage(ConfirmPage):
    """One action, for experiments in certain `states`."""

    needs = "view"
    right = "prompts.publish_prompt"
    label: ClassVar[str]
    states: ClassVar[tuple[str, ...]]
    form_class: type[ExperimentReasonForm] = ExperimentReasonForm

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.title = f"{self.label}: {self.original.key}"

    @classmethod
    def fits(cls, experiment: Experiment) -> bool:
        """Whether the action is possible now."""
        return experiment.state in cls.states

    def form(self, data: Any) -> Any:
        rows = list(self.original.arms.select_related("version"))
        return self.form_class(data, arms=rows)

    def answer(self) -> HttpResponse:
        if not self.fits(self.original):
            state = self.original.get_state_display().lower()
            messages.error(self.request, f"Not possible: the experiment is {state}.")
            return redirect(self.back_url())
        return super().answer()

    def why(self, form: Any) -> dict[str, Any]:
        """The arguments of a service: actor and reason."""
        self.reason = form.cleaned_data["reason"]
        actor = PromptActor.from_user(self.request.user)
        return {"actor": actor, "reason": self.reason}

    def log(self, message: str) -> str:
        return f"{self.label}. {self.reason}"


class ExperimentStartPage(ActPage):
    name = "start"
    label = "Start"
    text = (
        "From the next request on, its callers are split between the arms. Each caller "
        "stays in its arm."
    )
    verb = "Start the experiment"
    states = (DRAFT,)
    form_class = ExperimentStartForm

    def act(self, form: Any) -> str:
        service.start(self.original, check_models=arms.check, **self.why(form))
        return "Started. It applies to requests from now on."


class WeightsPage(ActPage):
    name = "weights"
    label = verb = "Change the shares"
    text = (
        "Callers change arms only into an arm that grows. The figures start from zero: "
        "earlier ones came from another mix of callers and days."
    )
    states = (RUNNING,)
    form_class = WeightsForm

    def act(self, form: Any) -> str:
        service.change_weights(self.original, form.weights(), **self.why(form))
        return "Changed the shares. The figures start from zero."


class StopPage(ActPage):
    name = "stop"
    label = "Stop"
    text = (
        "From the next request on, everybody gets the live version. A stopped "
        "experiment cannot be started again, but its results stay."
    )
    verb = "Stop the experiment"
    states = (RUNNING,)
    form_class = ExperimentReasonForm
    danger = True

    def act(self, form: Any) -> str:
        service.stop(self.original, **self.why(form))
        return "Stopped. Everybody gets the live version from now on."


class PromotePage(ActPage):
    name = "promote"
    label = "Promote a winner"
    text = (
        "From the next request on, everybody gets this arm's version. The experiment "
        "ends. You can roll back on the page of the prompt."
    )
    verb = "Promote the winner"
    states = (RUNNING, STOPPED)
    form_class = PromoteForm

    @classmethod
    def fits(cls, experiment: Experiment) -> bool:
        return super().fits(experiment) and not experiment.winner

    def act(self, form: Any) -> str:
        arm, why = form.cleaned_data["arm"], self.why(form)
        service.promote(self.original, arm, check_models=arms.check, **why)
        return f"Promoted {arm}: everybody gets it from now on."


ACTS = (ExperimentStartPage, WeightsPage, StopPage, PromotePage)


def acts(request: HttpRequest, experiment: Experiment) -> list[type[ActPage]]:
    """The actions that this user may take now."""
    may = request.user.has_perm(ActPage.right)
    return [act for act in ACTS if may and act.fits(experiment)]
