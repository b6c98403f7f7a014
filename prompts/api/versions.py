"""Versions: write a new one, read one by its number or a label, compare two."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from prompts import services
from prompts.api import access, comparison, given, shown
from prompts.api.prompts import TAGS
from prompts.models import Prompt, PromptVersion
from prompts.models.label import LATEST
from valuecanvas.core.api.access import Access
from valuecanvas.core.api.paging import Paging
from valuecanvas.core.api.schema import answers
from valuecanvas.core.errors import InvalidRequest, NotFound


def find(prompt: Prompt, name: str) -> PromptVersion:
    """The version by its number, a label, or 'latest'. Raises NotFound."""
    if name.isascii() and name.isdigit() and len(name) < 10:
        return number(prompt, int(name))
    rows = _rows(prompt)
    if name == LATEST:
        found = rows.order_by("-number").first()
    else:
        found = rows.filter(labels__name=name, labels__prompt=prompt).first()
    if found is None:
        raise NotFound(
            f"No version of '{prompt.key}' has the label '{name[:40]}'.",
            param="label",
            code="prompt_label_not_found",
        )
    return found


def number(prompt: Prompt, wanted: int, param: str = "version") -> PromptVersion:
    """The version by its number. Raises NotFound for `param`."""
    found = _rows(prompt).filter(number=wanted).first()
    if found is None:
        raise NotFound(
            f"'{prompt.key}' has no version {wanted}.",
            param=param,
            code="prompt_version_not_found",
        )
    return found


def _rows(prompt: Prompt) -> "QuerySet[PromptVersion]":
    rows: QuerySet[PromptVersion] = (
        PromptVersion.objects.filter(prompt=prompt)
        .select_related("prompt")
        .prefetch_related("labels")
    )
    return rows


@extend_schema_view(
    get=extend_schema(
        operation_id="listPromptVersions",
        summary="Versions of a prompt",
        responses=answers(shown.ShownVersionSummary(many=True), 400, 404),
        tags=TAGS,
    ),
    post=extend_schema(
        operation_id="createPromptVersion",
        summary="Write a new version",
        request=given.GivenVersion,
        responses=answers(shown.ShownVersion, 400, 404, 409, status=201),
        tags=TAGS,
    ),
)
class Versions(ListAPIView):
    """The newest first. A new one serves nobody until a label points at it."""

    permission_classes = [Access]
    needs = {"GET": access.READ, "POST": access.WRITE}
    serializer_class = shown.ShownVersionSummary
    pagination_class = Paging.by("-number")

    def get_queryset(self) -> "QuerySet[PromptVersion]":
        rows = _rows(access.prompt(self.kwargs["key"]))
        return rows.defer("template", "messages", "variables", "parameters")

    def post(self, request: Request, key: str) -> Response:
        body = given.GivenVersion(data=request.data)
        body.is_valid(raise_exception=True)
        prompt = access.prompt(key)
        made = services.add_version(
            prompt, **body.validated_data, actor=access.actor(request)
        )
        return Response(shown.ShownVersion(number(prompt, made.number)).data, 201)


@extend_schema_view(
    get=extend_schema(
        operation_id="getPromptVersion",
        summary="One version",
        parameters=[
            OpenApiParameter(
                "version",
                location=OpenApiParameter.PATH,
                description="A number, a label such as `production`, or `latest`.",
            )
        ],
        responses=answers(shown.ShownVersion, 404),
        tags=TAGS,
    )
)
class VersionDetail(APIView):
    """A version as it was written, by its number or by a label."""

    permission_classes = [Access]
    needs = {"GET": access.READ}

    def get(self, request: Request, key: str, version: str) -> Response:
        found = find(access.prompt(key), version)
        return Response(shown.ShownVersion(found).data)


@extend_schema_view(
    get=extend_schema(
        operation_id="diffPromptVersions",
        summary="Compare two versions",
        parameters=[
            OpenApiParameter(
                name,
                required=True,
                description="A number, a label such as `production`, or `latest`.",
            )
            for name in ("from", "to")
        ],
        responses=answers(shown.ShownDiff, 400, 404),
        tags=TAGS,
    )
)
class Diff(APIView):
    """What one version changed against another."""

    permission_classes = [Access]
    needs = {"GET": access.READ}

    def get(self, request: Request, key: str) -> Response:
        prompt = access.prompt(key)
        old, new = (
            find(prompt, _named(request.query_params, name)) for name in ("from", "to")
        )
        return Response(comparison.compared(old, new))


def _named(query: Any, name: str) -> str:
    found: str = query.get(name, "")
    if not found:
        raise InvalidRequest(
            f"'{name}' is required: a version's number or a label.", param=name
        )
    return found
