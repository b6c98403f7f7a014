"""Endpoints of labels: list, move with compare-and-set, remove, roll back."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter

from prompts import services
from prompts.api import request_bodies, response_bodies
from prompts.api.access import (
    PUBLISH,
    READ,
    PromptEndpoint,
    prompt_change,
    prompt_operation,
)
from prompts.api.prompts import detail
from prompts.api.versions import number
from prompts.models import Label
from prompts.services.label import find_label
from valuecanvas.core.errors import NotFound

LABEL_NAME = OpenApiParameter(
    "name",
    {"type": "string", "maxLength": 40, "pattern": "^(?![0-9]+$)[a-z0-9][a-z0-9_.-]*$"},
    location=OpenApiParameter.PATH,
)


class Labels(PromptEndpoint):
    """Lists the labels by name, without `latest`, which is always the newest version."""

    @prompt_operation(
        "listPromptLabels",
        "Labels of a prompt",
        READ,
        answer=response_bodies.ShownLabels,
    )
    def get(self) -> dict[str, Any]:
        rows = self.prompt.labels.select_related("version").order_by("name")
        return {"data": response_bodies.ShownLabel(rows, many=True).data}


class LabelDetail(PromptEndpoint):
    """One label. It moves only from the expected version: 409 says who moved it."""

    @property
    def label(self) -> Label:
        """The current label. Raises NotFound."""
        name = self.kwargs["name"]
        found = find_label(self.prompt, name)
        if found is None:
            raise NotFound(
                f"'{self.prompt.key}' has no label '{name[:40]}'.",
                param="name",
                code="prompt_label_not_found",
            )
        return found

    @prompt_operation(
        "getPromptLabel", "One label", READ, answer=response_bodies.ShownLabel
    )
    def get(self) -> Label:
        return self.label

    @prompt_change(
        "movePromptLabel",
        "Move a label",
        PUBLISH,
        body=request_bodies.GivenMove,
        answer=response_bodies.ShownLabel,
        parameters=[LABEL_NAME],
    )
    def put(self, asked: dict[str, Any]) -> Label:
        services.move_label(
            self.prompt,
            self.kwargs["name"],
            number(self.prompt, asked["version"]),
            expected=asked["expected_version"],
            actor=self.actor,
            reason=asked["reason"],
        )
        return self.label

    @prompt_change(
        "removePromptLabel", "Remove a label", PUBLISH, body=request_bodies.GivenRemoval
    )
    def delete(self, asked: dict[str, Any]) -> None:
        services.remove_label(
            self.prompt,
            self.label.name,
            actor=self.actor,
            reason=asked["reason"],
            expected=asked.get("expected_version"),
        )


class Rollback(PromptEndpoint):
    """Moves `production` back to its last version, or to `to`."""

    @prompt_change(
        "rollBackPrompt",
        "Roll back",
        PUBLISH,
        body=request_bodies.GivenRollback,
        answer=response_bodies.ShownPromptDetail,
    )
    def post(self, asked: dict[str, Any]) -> dict[str, Any]:
        to = asked.get("to")
        services.rollback(
            self.prompt,
            actor=self.actor,
            reason=asked["reason"],
            to=None if to is None else number(self.prompt, to, "to"),
            expected=asked.get("expected_version"),
        )
        return detail(self.prompt)
