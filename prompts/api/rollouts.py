"""Endpoints of gradual rollouts: start, change the share, pause, end."""

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
    """The base of endpoints of the live rollout: one view for each action."""

    def live(self) -> Rollout:
        """The live rollout. Raises NotFound."""
        rows = self.prompt.rollouts.filter(state__in=LIVE).select_related("version")
        found: Rollout | None = rows.first()
        if found is None:
            raise NotFound(
                f"No rollout of '{self.prompt.key}' is under way.",
                code="rollout_not_found",
            )
        return found


class Rollouts(RolloutEndpoint):
    """Lists rollouts, newest first; starts one. A prompt has one live rollout at a time."""

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
        return _reload(made)


class RolloutDetail(RolloutEndpoint):
    """The live rollout, running or paused."""

    @rollout_operation("getPromptRollout", "The rollout under way", READ)
    def get(self) -> Rollout:
        return _reload(self.live())


class Share(RolloutEndpoint):
    """Changes the share. The same users keep the new version while it grows."""

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
        return _reload(rollout)


def post_verb(name: str, summary: str, service: Callable[..., object]) -> Any:
    """The operation of one action on the rollout, with a reason for the audit."""

    @rollout_change(f"{name}PromptRollout", summary, PUBLISH, body=GivenReason)
    def post(view: RolloutEndpoint, asked: dict[str, Any]) -> Rollout:
        rollout = view.live()
        service(rollout, actor=view.actor, reason=asked["reason"])
        return _reload(rollout)

    return post


class Pause(RolloutEndpoint):
    """Pauses the rollout: the share stays until it is resumed."""

    post = post_verb("pause", "Pause the rollout", services.pause)


class Resume(RolloutEndpoint):
    """Resumes the rollout with its next step."""

    post = post_verb("resume", "Resume the rollout", services.resume)


class Finish(RolloutEndpoint):
    """Finishes the rollout: `production` moves to the new version."""

    post = post_verb("finish", "Publish to everybody", services.finish)


class RollBack(RolloutEndpoint):
    """Rolls back: everybody gets the version of `production`, and the rollout ends."""

    post = post_verb("rollBack", "Roll back the rollout", services.roll_back_rollout)


def _reload(rollout: Rollout) -> Rollout:
    """The current rollout from the database."""
    return Rollout.objects.select_related("version").get(pk=rollout.pk)
