"""Gradual rollouts: start one, change its share, hold it, end it."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from prompts import services
from prompts.api import access, given, shown
from prompts.api.prompts import TAGS
from prompts.api.versions import number
from prompts.models import Prompt, Rollout
from prompts.models.rollout import LIVE
from valuecanvas.core.api.access import Access
from valuecanvas.core.api.paging import Paging
from valuecanvas.core.api.schema import answers
from valuecanvas.core.errors import NotFound


@extend_schema_view(
    get=extend_schema(
        operation_id="listPromptRollouts",
        summary="Rollouts of a prompt",
        responses=answers(shown.ShownRollout(many=True), 400, 404),
        tags=TAGS,
    ),
    post=extend_schema(
        operation_id="startPromptRollout",
        summary="Start a gradual rollout",
        request=given.GivenRollout,
        responses=answers(shown.ShownRollout, 400, 404, 409, status=201),
        tags=TAGS,
    ),
)
class Rollouts(ListAPIView):
    """The newest first. One at a time: a share of the users gets the new version."""

    permission_classes = [Access]
    needs = {"GET": access.READ, "POST": access.PUBLISH}
    serializer_class = shown.ShownRollout
    pagination_class = Paging.by("-id")

    def get_queryset(self) -> "QuerySet[Rollout]":
        rows = Rollout.objects.filter(prompt=access.prompt(self.kwargs["key"]))
        return rows.select_related("version")

    def post(self, request: Request, key: str) -> Response:
        body = given.GivenRollout(data=request.data)
        body.is_valid(raise_exception=True)
        prompt, asked = access.prompt(key), dict(body.validated_data)
        made = services.start_rollout(
            prompt,
            number(prompt, asked["version"]),
            share=asked["share"],
            steps=[dict(step) for step in asked.get("steps", [])],
            actor=access.actor(request),
            reason=asked["reason"],
        )
        return Response(_now(made), 201)


class Live(APIView):
    """What can be done to the rollout that is under way: one view for each verb."""

    permission_classes = [Access]
    needs = {"GET": access.READ, "POST": access.PUBLISH}

    def live(self, key: str) -> Rollout:
        """Raises NotFound."""
        return _live(access.prompt(key))

    def reason(self, request: Request) -> str:
        body = given.GivenReason(data=request.data)
        body.is_valid(raise_exception=True)
        reason: str = body.validated_data["reason"]
        return reason


@extend_schema_view(
    get=extend_schema(
        operation_id="getPromptRollout",
        summary="The rollout under way",
        responses=answers(shown.ShownRollout, 404),
        tags=TAGS,
    )
)
class RolloutDetail(Live):
    """Running or paused."""

    def get(self, request: Request, key: str) -> Response:
        return Response(_now(self.live(key)))


@extend_schema_view(
    post=extend_schema(
        operation_id="setPromptRolloutShare",
        summary="Change the share",
        request=given.GivenNewShare,
        responses=answers(shown.ShownRollout, 400, 404, 409),
        tags=TAGS,
    )
)
class Share(Live):
    """The same users keep getting the new version while the share grows."""

    def post(self, request: Request, key: str) -> Response:
        body = given.GivenNewShare(data=request.data)
        body.is_valid(raise_exception=True)
        rollout, asked = self.live(key), body.validated_data
        services.set_share(
            rollout,
            asked["share"],
            actor=access.actor(request),
            reason=asked["reason"],
            expected=asked.get("expected_share"),
        )
        return Response(_now(rollout))


def _verb(operation: str, summary: str) -> Any:
    return extend_schema_view(
        post=extend_schema(
            operation_id=operation,
            summary=summary,
            request=given.GivenReason,
            responses=answers(shown.ShownRollout, 400, 404, 409),
            tags=TAGS,
        )
    )


@_verb("pausePromptRollout", "Hold the share")
class Pause(Live):
    """The share stays as it is until the rollout is resumed."""

    def post(self, request: Request, key: str) -> Response:
        rollout, reason = self.live(key), self.reason(request)
        services.pause(rollout, actor=access.actor(request), reason=reason)
        return Response(_now(rollout))


@_verb("resumePromptRollout", "Go on")
class Resume(Live):
    """The steps go on from where they were held."""

    def post(self, request: Request, key: str) -> Response:
        rollout, reason = self.live(key), self.reason(request)
        services.resume(rollout, actor=access.actor(request), reason=reason)
        return Response(_now(rollout))


@_verb("finishPromptRollout", "Give it to everybody")
class Finish(Live):
    """`production` moves to the new version, and the rollout is over."""

    def post(self, request: Request, key: str) -> Response:
        rollout, reason = self.live(key), self.reason(request)
        services.finish(rollout, actor=access.actor(request), reason=reason)
        return Response(_now(rollout))


@_verb("rollBackPromptRollout", "Take it back")
class RollBack(Live):
    """Everybody gets what `production` points at, and the rollout is over."""

    def post(self, request: Request, key: str) -> Response:
        rollout, reason = self.live(key), self.reason(request)
        services.roll_back_rollout(rollout, actor=access.actor(request), reason=reason)
        return Response(_now(rollout))


def _live(prompt: Prompt) -> Rollout:
    rows = prompt.rollouts.filter(state__in=LIVE).select_related("version")
    found: Rollout | None = rows.first()
    if found is None:
        raise NotFound(
            f"No rollout of '{prompt.key}' is under way.", code="rollout_not_found"
        )
    return found


def _now(rollout: Rollout) -> Any:
    """As the database has it, whatever the service did to its copy."""
    row = Rollout.objects.select_related("version").get(pk=rollout.pk)
    return shown.ShownRollout(row).data
