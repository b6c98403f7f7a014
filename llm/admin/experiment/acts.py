"""What is done to an experiment: each a page that asks why, and a POST that acts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse

from llm.admin.experiment.forms import (
    PromoteForm,
    ReasonForm,
    StartForm,
    WeightsForm,
)
from llm.prompting import arms
from prompts.experiments import service
from prompts.models import Arm, Experiment
from prompts.models.experiment import ExperimentState
from prompts.services import Actor
from valuecanvas.core.errors import GatewayError

RIGHT = "prompts.publish_prompt"
DRAFT, RUNNING = ExperimentState.DRAFT, ExperimentState.RUNNING
STOPPED = ExperimentState.STOPPED


@dataclass(frozen=True, slots=True)
class Act:
    """One verb: its words, the states it is for, its form and what it does."""

    name: str
    title: str
    text: str
    verb: str
    states: tuple[str, ...]
    form: Callable[[list[Arm], Any], Any]
    run: Callable[[Experiment, Any, Actor], str]
    danger: bool = False


def _start(experiment: Experiment, form: Any, actor: Actor) -> str:
    reason = form.cleaned_data["reason"]
    service.start(experiment, actor=actor, reason=reason, check_models=arms.check)
    return "Started. It governs requests from now on."


def _weights(experiment: Experiment, form: Any, actor: Actor) -> str:
    reason = form.cleaned_data["reason"]
    service.change_weights(experiment, form.weights(), actor=actor, reason=reason)
    return "Changed the shares. The figures are counted anew from now on."


def _stop(experiment: Experiment, form: Any, actor: Actor) -> str:
    service.stop(experiment, actor=actor, reason=form.cleaned_data["reason"])
    return "Stopped. Everybody gets the live version from now on."


def _promote(experiment: Experiment, form: Any, actor: Actor) -> str:
    arm, reason = form.cleaned_data["arm"], form.cleaned_data["reason"]
    service.promote(
        experiment, arm, actor=actor, reason=reason, check_models=arms.check
    )
    return f"Promoted {arm}: everybody gets it from now on."


ACTS = {
    act.name: act
    for act in (
        Act(
            "start",
            "Start",
            "From the next request on, the callers it is for are shared out among the "
            "arms. Each caller stays in its arm.",
            "Start the experiment",
            (DRAFT,),
            lambda rows, data: StartForm(data),
            _start,
        ),
        Act(
            "weights",
            "Change the shares",
            "Nobody changes arms but into one that grows. The figures start from zero: "
            "those from before were of another mix of callers and days.",
            "Change the shares",
            (RUNNING,),
            lambda rows, data: WeightsForm(rows, data),
            _weights,
        ),
        Act(
            "stop",
            "Stop",
            "From the next request on, everybody gets the live version. A stopped "
            "experiment cannot be started again, but its results stay.",
            "Stop the experiment",
            (RUNNING,),
            lambda rows, data: ReasonForm(data),
            _stop,
            danger=True,
        ),
        Act(
            "promote",
            "Promote a winner",
            "Everybody gets what this arm had, from the next request on. The experiment "
            "ends. You can roll back from the page of the prompt.",
            "Promote it",
            (RUNNING, STOPPED),
            lambda rows, data: PromoteForm(rows, data),
            _promote,
        ),
    )
}


class ActsMixin:
    """For the admin of experiments."""

    one: Any
    page: Any
    record: Any
    route: Any

    def act_urls(self) -> list[URLPattern]:
        return [
            self.route(
                f"<path:object_id>/{act.name}/",
                self._view(act),
                f"prompts_experiment_{act.name}",
            )
            for act in ACTS.values()
        ]

    def acts(self, request: HttpRequest, experiment: Experiment) -> list[Act]:
        """What this user may do to it now."""
        if not request.user.has_perm(RIGHT):
            return []
        return [
            act
            for act in ACTS.values()
            if experiment.state in act.states
            and not (act.name == "promote" and experiment.winner)
        ]

    def _view(self, act: Act) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            return self._act(request, object_id, act)

        return view

    def _act(self, request: HttpRequest, object_id: str, act: Act) -> HttpResponse:
        experiment = self.one(request, object_id, "view")
        if not request.user.has_perm(RIGHT):
            raise PermissionDenied
        back = reverse("admin:prompts_experiment_change", args=[experiment.pk])
        if act not in self.acts(request, experiment):
            state = experiment.get_state_display().lower()
            messages.error(request, f"Not possible: the experiment is {state}.")
            return redirect(back)
        rows = list(experiment.arms.select_related("version"))
        form = act.form(rows, request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            told = self._done(request, experiment, act, form)
            if told:
                messages.success(request, told)
                return redirect(back)
        answer: HttpResponse = self.page(
            request,
            "admin/confirm.html",
            title=f"{act.title}: {experiment.key}",
            original=experiment,
            text=act.text,
            form=form,
            verb=act.verb,
            danger=act.danger,
            back=back,
        )
        return answer

    def _done(
        self, request: HttpRequest, experiment: Experiment, act: Act, form: Any
    ) -> str:
        """What to tell; '' where it was refused, which the form then says."""
        try:
            told = act.run(experiment, form, Actor.of(request.user))
        except ValidationError as error:
            form.add_error(None, error.messages)
            return ""
        except GatewayError as error:
            form.add_error(None, error.message)
            return ""
        self.record(
            request, [experiment], f"{act.title}. {form.cleaned_data['reason']}"
        )
        return told
