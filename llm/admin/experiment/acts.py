"""What is done to an experiment: each a page that asks why, and a POST that acts."""

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
    """One verb, for experiments in some `states`."""

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
        """Whether it can be done now."""
        return experiment.state in cls.states

    def form(self, data: Any) -> Any:
        rows = list(self.original.arms.select_related("version"))
        return self.form_class(data, arms=rows)

    def answer(self) -> HttpResponse:
        if not self.fits(self.original):
            state = self.original.get_state_display().lower()
            messages.error(self.request, f"Not possible: the experiment is {state}.")
            return redirect(self.back())
        return super().answer()

    def why(self, form: Any) -> dict[str, Any]:
        """Who acts and why, for a service."""
        self.reason = form.cleaned_data["reason"]
        return {"actor": PromptActor.of(self.request.user), "reason": self.reason}

    def log(self, message: str) -> str:
        return f"{self.label}. {self.reason}"


class ExperimentStartPage(ActPage):
    name = "start"
    label = "Start"
    text = (
        "From the next request on, the callers it is for are shared out among the "
        "arms. Each caller stays in its arm."
    )
    verb = "Start the experiment"
    states = (DRAFT,)
    form_class = ExperimentStartForm

    def act(self, form: Any) -> str:
        service.start(self.original, check_models=arms.check, **self.why(form))
        return "Started. It governs requests from now on."


class WeightsPage(ActPage):
    name = "weights"
    label = verb = "Change the shares"
    text = (
        "Nobody changes arms but into one that grows. The figures start from zero: "
        "those from before were of another mix of callers and days."
    )
    states = (RUNNING,)
    form_class = WeightsForm

    def act(self, form: Any) -> str:
        service.change_weights(self.original, form.weights(), **self.why(form))
        return "Changed the shares. The figures are counted anew from now on."


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
        "Everybody gets what this arm had, from the next request on. The experiment "
        "ends. You can roll back from the page of the prompt."
    )
    verb = "Promote it"
    states = (RUNNING, STOPPED)
    form_class = PromoteForm

    @classmethod
    def fits(cls, experiment: Experiment) -> bool:
        return super().fits(experiment) and not experiment.winner

    def act(self, form: Any) -> str:
        arm, said = form.cleaned_data["arm"], self.why(form)
        service.promote(self.original, arm, check_models=arms.check, **said)
        return f"Promoted {arm}: everybody gets it from now on."


ACTS = (ExperimentStartPage, WeightsPage, StopPage, PromotePage)


def acts(request: HttpRequest, experiment: Experiment) -> list[type[ActPage]]:
    """What this user may do to it now."""
    may = request.user.has_perm(ActPage.right)
    return [act for act in ACTS if may and act.fits(experiment)]
