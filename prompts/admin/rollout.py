"""The page of a gradual rollout: start one, raise its share, hold it, end it."""

from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget

from prompts import services
from prompts.admin.compare import version_of
from prompts.admin.included import newly_needed
from prompts.admin.reason import REFUSALS, ReasonForm, told
from prompts.admin.rights import PUBLISH, refuse_unless
from prompts.admin.status import Status, status
from prompts.models import Prompt, Rollout
from prompts.rendering.label_names import PRODUCTION

HUNDRED = 10_000
BY_HAND = "hand"
HOUR, DAY = 60, 24 * 60
# Shares, in hundredths of a percent, with the minutes after which each follows.
PLANS: Mapping[str, tuple[str, tuple[tuple[int, int], ...]]] = {
    BY_HAND: ("By hand: it stays until somebody changes it", ()),
    "quick": (
        "Quick: 25 % after an hour, 50 % after another, then all",
        ((2_500, HOUR), (5_000, HOUR), (HUNDRED, HOUR)),
    ),
    "careful": (
        "Careful: 25 % after a day, 50 % after another, then all",
        ((2_500, DAY), (5_000, DAY), (HUNDRED, DAY)),
    ),
}


class ShareForm(ReasonForm):
    """A share of the users, with the reason."""

    share = forms.DecimalField(
        label="Share of users, in percent",
        min_value=0,
        max_value=100,
        decimal_places=2,
        widget=UnfoldAdminDecimalFieldWidget({"step": "1"}),
        help_text="The same users keep getting it while the share grows.",
    )
    field_order = ("share", "plan", "reason", "expected")

    def hundredths(self) -> int:
        return int(self.cleaned_data["share"] * 100)


class StartForm(ShareForm):
    """The first share, and what follows by itself."""

    plan = forms.ChoiceField(
        label="Then",
        choices=[(name, title) for name, (title, _) in PLANS.items()],
        widget=UnfoldAdminSelectWidget,
        help_text="You can change the share, hold it or end it at any time.",
    )

    def steps(self) -> list[dict[str, int]]:
        """What is still to come above the first share."""
        _, steps = PLANS[self.cleaned_data["plan"]]
        return [
            {"share": share, "after_minutes": minutes}
            for share, minutes in steps
            if share > self.hundredths()
        ]


class RolloutMixin:
    """For the admin of prompts."""

    one: Any
    page: Any
    record: Any
    route: Any

    def rollout_urls(self) -> list[URLPattern]:
        return [
            self.route(
                "<path:object_id>/rollout/", self.rollout_view, "prompts_prompt_rollout"
            )
        ]

    def rollout_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The live rollout with what can be done; without one, the form to start."""
        refuse_unless(request, PUBLISH)
        prompt = self.one(request, object_id, "view")
        now = status(prompt)
        if now.rollout is None:
            return self._start(request, now)
        return self._steer(request, now, now.rollout)

    # -- start -----------------------------------------------------------------------

    def _start(self, request: HttpRequest, now: Status) -> HttpResponse:
        prompt = now.prompt
        number = request.GET.get("version") or now.newest
        version = version_of(prompt, number) if number else None
        form = StartForm(request.POST or None, initial={"share": 5, "plan": BY_HAND})
        if version is not None and request.method == "POST" and form.is_valid():
            try:
                services.start_rollout(
                    prompt,
                    version,
                    share=form.hundredths(),
                    steps=form.steps(),
                    actor=services.Actor.of(request.user),
                    reason=form.cleaned_data["reason"],
                )
            except REFUSALS as error:
                form.add_error(None, told(error))
            else:
                share = f"{form.cleaned_data['share']:g} %"
                return self._done(
                    request, prompt, f"Version {version.number} goes to {share}."
                )
        return self._rollout_page(
            request,
            now,
            form,
            template="start",
            title=f"Roll version {version.number} out gradually"
            if version
            else "Gradual rollout",
            version=version,
            needed=newly_needed(now.production, version) if version else [],
        )

    # -- steer -----------------------------------------------------------------------

    def _steer(
        self, request: HttpRequest, now: Status, rollout: Rollout
    ) -> HttpResponse:
        act = _ACTS.get(request.POST.get("act", ""))
        sharing = request.POST.get("act") == "share"
        data = request.POST if act else None
        form = ShareForm(
            data if sharing else None,
            initial={"share": f"{rollout.share / 100:g}", "expected": rollout.share},
        )
        why = ReasonForm(None if sharing else data)
        asked = form if sharing else why
        if act is not None and asked.is_valid():
            actor = services.Actor.of(request.user)
            try:
                said = act(rollout, asked, actor)
            except REFUSALS as error:
                asked.add_error(None, told(error))
            else:
                return self._done(request, now.prompt, said)
        return self._rollout_page(
            request,
            now,
            form,
            template="steer",
            title=f"Gradual rollout of version {rollout.version.number}",
            why=why,
            version=rollout.version,
            steps=plan_of(rollout),
        )

    def _done(self, request: HttpRequest, prompt: Prompt, said: str) -> HttpResponse:
        self.record(request, [prompt], f"Gradual rollout: {said}")
        messages.success(request, said)
        return redirect("admin:prompts_prompt_change", prompt.pk)

    def _rollout_page(
        self,
        request: HttpRequest,
        now: Status,
        form: forms.Form,
        *,
        template: str,
        **context: Any,
    ) -> HttpResponse:
        why = context.get("why")
        wrong = bool(form.errors or (why is not None and why.errors))
        answer: HttpResponse = self.page(
            request,
            f"admin/prompts/prompt/rollout_{template}.html",
            original=now.prompt,
            form=form,
            now=now,
            may=services.may_move(services.Actor.of(request.user), PRODUCTION),
            back=reverse("admin:prompts_prompt_change", args=[now.prompt.pk]),
            status=422 if wrong else 200,
            **context,
        )
        return answer


def plan_of(rollout: Rollout) -> list[str]:
    """What is still to come, in words."""
    return [
        f"{step['share'] / 100:g} % after {_span(step['after_minutes'])}"
        for step in rollout.steps
    ]


def _span(minutes: int) -> str:
    """In the largest unit that needs no fraction."""
    units = ((DAY, "day"), (HOUR, "hour"), (1, "minute"))
    size, noun = next(unit for unit in units if minutes % unit[0] == 0)
    count = minutes // size
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _share(rollout: Rollout, form: Any, actor: services.Actor) -> str:
    services.set_share(
        rollout,
        form.hundredths(),
        actor=actor,
        reason=form.cleaned_data["reason"],
        expected=form.cleaned_data["expected"],
    )
    return f"Version {rollout.version.number} now goes to {form.cleaned_data['share']:g} %."


def _pause(rollout: Rollout, form: Any, actor: services.Actor) -> str:
    services.pause(rollout, actor=actor, reason=form.cleaned_data["reason"])
    return "The share is held as it is until the rollout is resumed."


def _resume(rollout: Rollout, form: Any, actor: services.Actor) -> str:
    services.resume(rollout, actor=actor, reason=form.cleaned_data["reason"])
    return "The rollout goes on."


def _finish(rollout: Rollout, form: Any, actor: services.Actor) -> str:
    services.finish(rollout, actor=actor, reason=form.cleaned_data["reason"])
    return f"Version {rollout.version.number} is live for everybody."


def _back(rollout: Rollout, form: Any, actor: services.Actor) -> str:
    services.roll_back_rollout(rollout, actor=actor, reason=form.cleaned_data["reason"])
    return "The rollout is over: everybody gets the live version again."


_ACTS: Mapping[str, Callable[[Rollout, Any, services.Actor], str]] = {
    "share": _share,
    "pause": _pause,
    "resume": _resume,
    "finish": _finish,
    "rollback": _back,
}
