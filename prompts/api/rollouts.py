"""Gradual rollouts: start one, change its share, hold it, end it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db.models import QuerySet

from prompts import services
from prompts.api import access
from prompts.api.access import PUBLISH, READ, PromptEndpoint
from prompts.api.request_bodies import GivenNewShare, GivenRollout
from prompts.api.response_bodies import ShownRollout
from prompts.api.versions import number
from prompts.models import Rollout
from prompts.models.rollout import LIVE
from valuecanvas.core.api.bodies import GivenReason
from valuecanvas.core.errors import NotFound

rollout_operation = partial(access.prompt_operation, answer=ShownRollout)
rollout_change = partial(access.prompt_change, answer=ShownRollout)


class RolloutEndpoint(PromptEndpoint):
    """What can be done to the rollout that is under way: one view for each verb."""

    def live(self) -> Rollout:
        """Raises NotFound."""
        rows = self.prompt.rollouts.filter(state__in=LIVE).select_related("version")
        found: Rollout | None = rows.first()
        if found is None:
            raise NotFound(
                f"No rollout of '{self.prompt.key}' is under way.",
                code="rollout_not_found",
            )
        return found


class Rollouts(RolloutEndpoint):
    """The newest first. One at a time: a share of the users gets the new version."""

    @rollout_operation(
        "listPromptRollouts", "Rollouts of a prompt", READ, paged_by="-id"
    )
    def get(self) -> "QuerySet[Rollout]":
        return Rollout.objects.filter(prompt=self.prompt).select_related("version")

    @rollout_change(
        "startPromptRollout",
        "Start a gradual rollout",
        PUBLISH,
        body=GivenRollout,
        status=201,
    )
    def post(self, asked: dict[str, Any]) -> Rollout:
        made = services.start_rollout(
            self.prompt,
            number(self.prompt, asked["version"]),
            share=asked["share"],
            steps=[dict(step) for step in asked.get("steps", [])],
            actor=self.actor,
            reason=asked["reason"],
        )
        return _now(made)


class RolloutDetail(RolloutEndpoint):
    """Running or paused."""

    @rollout_operation("getPromptRollout", "The rollout under way", READ)
    def get(self) -> Rollout:
        return _now(self.live())


class Share(RolloutEndpoint):
    """The same users keep getting the new version while the share grows."""

    @rollout_change(
        "setPromptRolloutShare", "Change the share", PUBLISH, body=GivenNewShare
    )
    def post(self, asked: dict[str, Any]) -> Rollout:
        rollout = self.live()
        services.set_share(
            rollout,
            asked["share"],
            actor=self.actor,
            reason=asked["reason"],
            expected=asked.get("expected_share"),
        )
        return _now(rollout)


def post_verb(name: str, summary: str, service: Callable[..., object]) -> Any:
    """The operation that does one thing to the rollout, with a reason for the audit."""

    @rollout_change(f"{name}PromptRollout", summary, PUBLISH, body=GivenReason)
    def post(view: RolloutEndpoint, asked: dict[str, Any]) -> Rollout:
        rollout = view.live()
        service(rollout, actor=view.actor, reason=asked["reason"])
        return _now(rollout)

    return post


class Pause(RolloutEndpoint):
    """The share stays as it is until the rollout is resumed."""

    post = post_verb("pause", "Hold the share", services.pause)


class Resume(RolloutEndpoint):
    """The steps go on from where they were held."""

    post = post_verb("resume", "Go on", services.resume)


class Finish(RolloutEndpoint):
    """`production` moves to the new version, and the rollout is over."""

    post = post_verb("finish", "Give it to everybody", services.finish)


class RollBack(RolloutEndpoint):
    """Everybody gets what `production` points at, and the rollout is over."""

    post = post_verb("rollBack", "Take it back", services.roll_back_rollout)


def _now(rollout: Rollout) -> Rollout:
    """As the database has it, whatever the service did to its copy."""
    return Rollout.objects.select_related("version").get(pk=rollout.pk)
