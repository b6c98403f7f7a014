"""Prompts: find, make, describe, archive; and what happened to them."""

from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers as s
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from prompts import services
from prompts.api import access, given, shown
from prompts.models import Label, Prompt, PromptEvent, PromptVersion
from prompts.models.label import PRODUCTION
from prompts.models.rollout import LIVE
from valuecanvas.core.api.access import Access
from valuecanvas.core.api.bodies import StrictSerializer
from valuecanvas.core.api.paging import Paging
from valuecanvas.core.api.schema import answers, errors

TAGS = ["Prompts"]
_FILTERS = {
    "folder": "This folder and those in it.",
    "tag": "Prompts with this tag.",
    "search": "In the key and the description.",
    "archived": "`true`: archived ones only. They are left out unless asked for.",
}


class Filters(StrictSerializer):
    """The query of a list of prompts."""

    folder = s.CharField(required=False, max_length=200)
    tag = s.CharField(required=False, max_length=40)
    search = s.CharField(required=False, max_length=200)
    archived = s.BooleanField(required=False, default=False)
    cursor = s.CharField(required=False)
    limit = s.CharField(required=False)


def listed(rows: "QuerySet[Prompt]") -> "QuerySet[Prompt]":
    """`rows` with the versions that are live and newest, in the same query."""
    live = Label.objects.filter(prompt=OuterRef("pk"), name=PRODUCTION)
    newest = PromptVersion.objects.filter(prompt=OuterRef("pk")).order_by("-number")
    return rows.select_related("owner").annotate(
        production=Subquery(live.values("version__number")),
        latest=Subquery(newest.values("number")[:1]),
    )


def detail(prompt: Prompt) -> dict[str, Any]:
    """One prompt as it is now, with its labels and its rollout."""
    row = listed(Prompt.objects.filter(pk=prompt.pk)).get()
    labels = row.labels.select_related("version").order_by("name")
    live = row.rollouts.filter(state__in=LIVE).select_related("version").first()
    return {
        **shown.ShownPrompt(row).data,
        "labels": shown.ShownLabel(labels, many=True).data,
        "rollout": shown.ShownRollout(live).data if live else None,
    }


@extend_schema_view(
    get=extend_schema(
        operation_id="listPrompts",
        summary="Prompts",
        parameters=[
            OpenApiParameter(
                name, bool if name == "archived" else str, description=text
            )
            for name, text in _FILTERS.items()
        ],
        responses=answers(shown.ShownPrompt(many=True), 400),
        tags=TAGS,
    ),
    post=extend_schema(
        operation_id="createPrompt",
        summary="Make a prompt",
        request=given.GivenPrompt,
        responses=answers(shown.ShownPromptDetail, 400, 409, status=201),
        tags=TAGS,
    ),
)
class Prompts(ListAPIView):
    """All prompts by key; a new one has no version yet."""

    permission_classes = [Access]
    needs = {"GET": access.READ, "POST": access.CREATE}
    serializer_class = shown.ShownPrompt
    pagination_class = Paging.by("key")

    def get_queryset(self) -> "QuerySet[Prompt]":
        query = Filters(data=self.request.query_params.dict())
        query.is_valid(raise_exception=True)
        return listed(_filtered(query.validated_data))

    def post(self, request: Request) -> Response:
        body = given.GivenPrompt(data=request.data)
        body.is_valid(raise_exception=True)
        made = services.create_prompt(
            **body.validated_data, actor=access.actor(request)
        )
        return Response(detail(made), status=201)


def _filtered(asked: dict[str, Any]) -> "QuerySet[Prompt]":
    rows = Prompt.objects.filter(archived=asked["archived"])
    if folder := asked.get("folder"):
        rows = rows.filter(Q(folder=folder) | Q(folder__startswith=f"{folder}/"))
    if tag := asked.get("tag"):
        rows = rows.filter(tags__contains=[tag])
    if text := asked.get("search"):
        rows = rows.filter(Q(key__icontains=text) | Q(description__icontains=text))
    return rows


@extend_schema_view(
    get=extend_schema(
        operation_id="getPrompt",
        summary="One prompt",
        responses=answers(shown.ShownPromptDetail, 404),
        tags=TAGS,
    ),
    patch=extend_schema(
        operation_id="editPrompt",
        summary="Describe a prompt",
        request=given.Details,
        responses=answers(shown.ShownPromptDetail, 400, 404),
        tags=TAGS,
    ),
    delete=extend_schema(
        operation_id="archivePrompt",
        summary="Archive a prompt",
        responses={204: None, **errors(404)},
        tags=TAGS,
    ),
)
class PromptDetail(APIView):
    """Its key and kind never change. Archived, it is refused to clients, not deleted."""

    permission_classes = [Access]
    needs = {
        "GET": access.READ,
        "PATCH": access.WRITE,
        # Clients get an error from then on: no less than moving a label.
        "DELETE": access.PUBLISH,
    }

    def get(self, request: Request, key: str) -> Response:
        return Response(detail(access.prompt(key)))

    def patch(self, request: Request, key: str) -> Response:
        body = given.Details(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        prompt = access.prompt(key)
        services.edit_prompt(prompt, actor=access.actor(request), **body.validated_data)
        return Response(detail(prompt))

    def delete(self, request: Request, key: str) -> Response:
        services.edit_prompt(
            access.prompt(key), actor=access.actor(request), archived=True
        )
        return Response(status=204)


@extend_schema_view(
    post=extend_schema(
        operation_id="restorePrompt",
        summary="Use an archived prompt again",
        request=None,
        responses=answers(shown.ShownPromptDetail, 404),
        tags=TAGS,
    )
)
class Restore(APIView):
    """The opposite of archiving: clients get it again as before."""

    permission_classes = [Access]
    needs = {"POST": access.PUBLISH}

    def post(self, request: Request, key: str) -> Response:
        prompt = access.prompt(key)
        services.edit_prompt(prompt, actor=access.actor(request), archived=False)
        return Response(detail(prompt))


@extend_schema_view(
    get=extend_schema(
        operation_id="promptHistory",
        summary="What happened to a prompt",
        responses=answers(shown.ShownEvent(many=True), 400, 404),
        tags=TAGS,
    )
)
class History(ListAPIView):
    """Who did what, when and why; the newest first."""

    permission_classes = [Access]
    needs = {"GET": access.READ}
    serializer_class = shown.ShownEvent
    pagination_class = Paging.by("-id")

    def get_queryset(self) -> "QuerySet[PromptEvent]":
        return PromptEvent.objects.filter(prompt=access.prompt(self.kwargs["key"]))
