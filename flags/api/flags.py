"""Flags: find, make, edit, archive; and what happened to them."""

from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers as s
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from flags import services
from flags.api import access, shapes
from flags.documents import document
from flags.models import Flag, FlagEvent
from valuecanvas.core.api.access import Access
from valuecanvas.core.api.bodies import StrictSerializer
from valuecanvas.core.api.paging import Paging
from valuecanvas.core.api.schema import answers, errors

TAGS = ["Flags"]
_FILTERS = {
    "tag": "Flags with this tag.",
    "search": "In the name and the note.",
    "archived": "`true`: archived ones only. They are left out unless asked for.",
}


class Filters(StrictSerializer):
    """The query of a list of flags."""

    tag = s.CharField(required=False, max_length=40)
    search = s.CharField(required=False, max_length=100)
    archived = s.BooleanField(required=False, default=False)
    cursor = s.CharField(required=False)
    limit = s.CharField(required=False)


def settled(data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A checked body as (settings, why and on which revision)."""
    settings = {name: v for name, v in data.items() if name in document.EDITABLE}
    said: dict[str, Any] = {"reason": data.get("reason", "")}
    if "expected_revision" in data:
        said["expected"] = data["expected_revision"]
    return settings, said


@extend_schema_view(
    get=extend_schema(
        operation_id="listFlags",
        summary="Flags",
        parameters=[
            OpenApiParameter(
                name, bool if name == "archived" else str, description=text
            )
            for name, text in _FILTERS.items()
        ],
        responses=answers(shapes.ShownFlag(many=True), 400),
        tags=TAGS,
    ),
    post=extend_schema(
        operation_id="createFlag",
        summary="Make a flag",
        request=shapes.GivenFlag,
        responses=answers(shapes.ShownFlag, 400, status=201),
        tags=TAGS,
    ),
)
class Flags(ListAPIView):
    """All flags by name."""

    permission_classes = [Access]
    needs = {"GET": access.READ, "POST": access.CREATE}
    serializer_class = shapes.ShownFlag
    pagination_class = Paging.by("name")

    def get_queryset(self) -> "QuerySet[Flag]":
        query = Filters(data=self.request.query_params.dict())
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        rows = Flag.objects.filter(archived=asked["archived"])
        if tag := asked.get("tag"):
            rows = rows.filter(tags__contains=[tag])
        if text := asked.get("search"):
            rows = rows.filter(Q(name__icontains=text) | Q(note__icontains=text))
        found: QuerySet[Flag] = document.with_parts(rows)
        return found

    def post(self, request: Request) -> Response:
        body = shapes.GivenFlag(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = dict(body.validated_data)
        reason = wanted.pop("reason")
        made = services.create_flag(wanted, actor=access.actor(request), reason=reason)
        return Response(shapes.shown(made), status=201)


@extend_schema_view(
    get=extend_schema(
        operation_id="getFlag",
        summary="One flag",
        responses=answers(shapes.ShownFlag, 404),
        tags=TAGS,
    ),
    patch=extend_schema(
        operation_id="editFlag",
        summary="Edit a flag",
        request=shapes.GivenEdit,
        responses=answers(shapes.ShownFlag, 400, 404, 409),
        tags=TAGS,
    ),
    delete=extend_schema(
        operation_id="deleteFlag",
        summary="Delete a flag",
        responses={204: None, **errors(400, 404)},
        tags=TAGS,
    ),
)
class FlagDetail(APIView):
    """Its name and kind never change. Deleted, callers get their own default."""

    permission_classes = [Access]
    needs = {"GET": access.READ, "PATCH": access.WRITE, "DELETE": access.DELETE}

    def get(self, request: Request, key: str) -> Response:
        return Response(shapes.shown(access.flag(key)))

    def patch(self, request: Request, key: str) -> Response:
        body = shapes.GivenEdit(data=request.data)
        body.is_valid(raise_exception=True)
        settings, said = settled(body.validated_data)
        flag = services.edit_flag(
            access.flag(key), settings, actor=access.actor(request), **said
        )
        return Response(shapes.shown(flag))

    def delete(self, request: Request, key: str) -> Response:
        services.delete_flag(access.flag(key), actor=access.actor(request))
        return Response(status=204)


@extend_schema_view(
    get=extend_schema(
        operation_id="flagHistory",
        summary="What happened to a flag",
        responses=answers(shapes.ShownFlagEvent(many=True), 400, 404),
        tags=TAGS,
    )
)
class History(ListAPIView):
    """Who did what, when and why; the newest first."""

    permission_classes = [Access]
    needs = {"GET": access.READ}
    serializer_class = shapes.ShownFlagEvent
    pagination_class = Paging.by("-id")

    def get_queryset(self) -> "QuerySet[FlagEvent]":
        return FlagEvent.objects.filter(flag=access.flag(self.kwargs["key"]))
