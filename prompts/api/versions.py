"""Endpoints of versions: create, read by number or label, compare."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter

from prompts import services
from prompts.api import comparison, request_bodies, response_bodies
from prompts.api.access import (
    READ,
    WRITE,
    PromptEndpoint,
    prompt_change,
    prompt_operation,
)
from prompts.models import Prompt, PromptVersion
from prompts.rendering.label_names import LATEST
from valuecanvas.core.errors import InvalidRequest, NotFound

NAMED = {"type": "string", "minLength": 1}
VERSION = "A number, a label such as `production`, or `latest`."


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


class Versions(PromptEndpoint):
    """Lists versions, newest first; creates one, unused until a label points at it."""

    @prompt_operation(
        "listPromptVersions",
        "Versions of a prompt",
        READ,
        answer=response_bodies.ShownVersionSummary,
        paged_by="-number",
    )
    def get(self) -> "QuerySet[PromptVersion]":
        heavy = ("template", "messages", "variables", "parameters")
        return _rows(self.prompt).defer(*heavy)

    @prompt_change(
        "createPromptVersion",
        "Write a new version",
        WRITE,
        body=request_bodies.GivenVersion,
        answer=response_bodies.ShownVersion,
        status=201,
    )
    def post(self, asked: dict[str, Any]) -> PromptVersion:
        made = services.add_version(self.prompt, **asked, actor=self.actor)
        return number(self.prompt, made.number)


class VersionDetail(PromptEndpoint):
    """One version as written, by its number or by a label."""

    @prompt_operation(
        "getPromptVersion",
        "One version",
        READ,
        answer=response_bodies.ShownVersion,
        parameters=[
            OpenApiParameter(
                "version", location=OpenApiParameter.PATH, description=VERSION
            )
        ],
    )
    def get(self) -> PromptVersion:
        return find(self.prompt, self.kwargs["version"])


class Diff(PromptEndpoint):
    """Compares two versions."""

    @prompt_operation(
        "diffPromptVersions",
        "Compare two versions",
        READ,
        answer=response_bodies.ShownDiff,
        parameters=[
            OpenApiParameter(name, NAMED, required=True, description=VERSION)
            for name in ("from", "to")
        ],
        refusals=[400, 404],
    )
    def get(self) -> dict[str, Any]:
        old, new = (find(self.prompt, self._named(name)) for name in ("from", "to"))
        return comparison.compare_versions(old, new)

    def _named(self, name: str) -> str:
        found: str = self.request.query_params.get(name, "")
        if not found:
            raise InvalidRequest(
                f"'{name}' is required: a version's number or a label.", param=name
            )
        return found
