"""The page of a gradual rollout: start it, change its share, pause it, end it."""

from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.http import HttpResponse

from prompts import services
from prompts.admin.compare import version_of
from prompts.admin.included import newly_needed
from prompts.admin.publish_page import PublishPage
from prompts.admin.rights import PUBLISH
from prompts.admin.status import status
from prompts.models import PromptVersion, Rollout
from prompts.models.rollout import LIVE
from prompts.rendering.label_names import PRODUCTION
from valuecanvas.core.admin.forms import PercentField, hundredths
from valuecanvas.core.admin.pages import Page, ReasonForm
from valuecanvas.core.errors import Conflict

HUNDRED = 10_000
BY_HAND = "hand"
HOUR, DAY = 60, 24 * 60
# Shares in hundredths of a percent, each with the minutes to wait before it.
PLANS: Mapping[str, tuple[str, tuple[tuple[int, int], ...]]] = {
    BY_HAND: ("By hand: the share stays until somebody changes it", ()),
    "quick": (
        "Quick: 25 % after an hour, 50 % after another, then all",
        ((2_500, HOUR), (5_000, HOUR), (HUNDRED, HOUR)),
    ),
    "careful": (
        "Careful: 25 % after a day, 50 % after another, then all",
        ((2_500, DAY), (5_000, DAY), (HUNDRED, DAY)),
    ),
}


# Actions besides a change of the share, each with its message.
VERBS: Mapping[str, tuple[Callable[..., object], str]] = {
    "pause": (
        services.pause,
        "The rollout is paused: its share stays until it is resumed.",
    ),
    "resume": (services.resume, "The rollout is resumed."),
    "finish": (services.finish, "Version {number} is live for everybody."),
    "rollback": (
        services.roll_back_rollout,
        "The rollout is rolled back: everybody gets the live version again.",
    ),
}


class ShareForm(ReasonForm):
    """The share of the users, and the reason."""

    share = PercentField(
        label="Share of users, in percent",
        step="1",
        help_text="The same users keep getting it while the share grows.",
    )
    field_order = ("share", "plan", "reason", "expected")

    def hundredths(self) -> int:
        return hundredths(self.cleaned_data["share"])


class RolloutStartForm(ShareForm):
    """The first share, and the steps that follow automatically."""

    plan = forms.ChoiceField(
        label="Then",
        choices=[(name, title) for name, (title, _) in PLANS.items()],
        help_text="You can change the share, pause the rollout or end it at any time.",
    )

    def steps(self) -> list[dict[str, int]]:
        """The planned steps above the first share."""
        _, steps = PLANS[self.cleaned_data["plan"]]
        return [
            {"share": share, "after_minutes": minutes}
            for share, minutes in steps
            if share > self.hundredths()
        ]


class RolloutStartPage(PublishPage):
    """Starts a rollout."""

    name = "rollout"
    template = "admin/prompts/prompt/rollout_start.html"
    version: Any

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.now = status(self.original)
        self.version = self.target_version()
        self.title = "Gradual rollout"
        if self.version:
            self.title = f"Roll version {self.version.number} out gradually"

    def target_version(self) -> PromptVersion | None:
        """The version to roll out."""
        number = self.request.GET.get("version") or self.now.newest
        return version_of(self.original, number) if number else None

    def nothing_to_do(self) -> bool:
        return self.version is None

    def form(self, data: Any) -> RolloutStartForm:
        return RolloutStartForm(data, initial={"share": 5, "plan": BY_HAND})

    def act(self, form: RolloutStartForm) -> str:
        services.start_rollout(
            self.original,
            self.version,
            share=form.hundredths(),
            steps=form.steps(),
            **self.why(form),
        )
        share = form.cleaned_data["share"]
        return f"Version {self.version.number} goes to {share:g} %."

    def log(self, message: str) -> str:
        return f"Gradual rollout: {message}"

    def context(self, conflict: Conflict | None) -> dict[str, Any]:
        new = self.version
        return {
            "now": self.now,
            "version": new,
            "may": services.may_move(self.actor, PRODUCTION),
            "needed": newly_needed(self.now.production, new) if new else [],
        }


class RolloutControlPage(RolloutStartPage):
    """Controls the live rollout: `act` in the POST is the verb."""

    template = "admin/prompts/prompt/rollout_steer.html"

    def __init__(self, *args: Any, rollout: Rollout) -> None:
        self.rollout = rollout
        super().__init__(*args)
        self.title = f"Gradual rollout of version {rollout.version.number}"

    def target_version(self) -> PromptVersion:
        return self.rollout.version

    def nothing_to_do(self) -> bool:
        return self.request.POST.get("act") not in ("share", *VERBS)

    def expected_version(self) -> int:
        return Rollout.objects.get(pk=self.rollout.pk).share

    def form(self, data: Any) -> Any:
        sharing = data is not None and data.get("act") == "share"
        share = self.expected_version()
        first = {"share": f"{share / 100:g}", "expected": share}
        self.share_form = ShareForm(data if sharing else None, initial=first)
        self.reason_form = ReasonForm(None if sharing else data)
        return self.share_form if sharing else self.reason_form

    def act(self, form: Any) -> str:
        if isinstance(form, ShareForm):
            services.set_share(
                self.rollout,
                form.hundredths(),
                expected=form.cleaned_data["expected"],
                **self.why(form),
            )
            share = form.cleaned_data["share"]
            return f"Version {self.version.number} now goes to {share:g} %."
        service, message = VERBS[self.request.POST["act"]]
        service(self.rollout, **self.why(form))
        return message.format(number=self.version.number)

    def context(self, conflict: Conflict | None) -> dict[str, Any]:
        return {
            **super().context(conflict),
            "form": self.share_form,
            "why": self.reason_form,
            "steps": plan_of(self.rollout),
        }


class RolloutPage(Page):
    """The live rollout with its actions; without one, the form to start."""

    name = "rollout"
    right = PUBLISH
    needs = "view"

    def answer(self) -> HttpResponse:
        args = self.admin, self.request, self.original
        live = self.original.rollouts.filter(state__in=LIVE).select_related("version")
        rollout = live.first()
        if rollout is None:
            return RolloutStartPage(*args).answer()
        return RolloutControlPage(*args, rollout=rollout).answer()


def plan_of(rollout: Rollout) -> list[str]:
    """The planned steps in words."""
    return [
        f"{step['share'] / 100:g} % after {_span(step['after_minutes'])}"
        for step in rollout.steps
    ]


def _span(minutes: int) -> str:
    """`minutes` in the largest unit without a fraction."""
    units = ((DAY, "day"), (HOUR, "hour"), (1, "minute"))
    size, noun = next(unit for unit in units if minutes % unit[0] == 0)
    count = minutes // size
    return f"{count} {noun}{'' if count == 1 else 's'}"
