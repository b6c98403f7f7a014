"""Endpoints of prompts: list, create, edit, archive, restore, history."""

from typing import Any

from django.db.models import Q, QuerySet

from prompts import services
from prompts.api import request_bodies, response_bodies
from prompts.api.access import (
    CREATE,
    PUBLISH,
    READ,
    WRITE,
    PromptEndpoint,
    prompt_operation,
)
from prompts.api.response_bodies import ShownPromptDetail
from prompts.models import Prompt, PromptEvent
from prompts.models.label import with_versions
from prompts.models.rollout import LIVE
from valuecanvas.core.api.bodies import Text
from valuecanvas.core.api.endpoint import ListQuery, narrow


class PromptFilters(ListQuery):
    """The query of a list of prompts."""

    folder = Text(200, "This folder and those in it.")
    tag = Text(40, "Prompts with this tag.")
    search = Text(200, "In the key and the description.")


def detail(prompt: Prompt) -> dict[str, Any]:
    """The current prompt with its labels and its rollout."""
    rows = Prompt.objects.filter(pk=prompt.pk).select_related("owner")
    row = with_versions(rows).get()
    labels = row.labels.select_related("version").order_by("name")
    live = row.rollouts.filter(state__in=LIVE).select_related("version").first()
    return {
        **response_bodies.ShownPrompt(row).data,
        "labels": response_bodies.ShownLabel(labels, many=True).data,
        "rollout": response_bodies.ShownRollout(live).data if live else None,
    }


class Prompts(PromptEndpoint):
    """Lists all prompts by key; creates one without versions."""

    @prompt_operation(
        "listPrompts",
        "Prompts",
        READ,
        query=PromptFilters,
        answer=response_bodies.ShownPrompt,
        paged_by="key",
        refusals=[],
    )
    def get(self, asked: dict[str, Any]) -> "QuerySet[Prompt]":
        rows: QuerySet[Prompt] = narrow(
            Prompt.objects.select_related("owner"), asked, ("key", "description")
        )
        if folder := asked.get("folder"):
            rows = rows.filter(Q(folder=folder) | Q(folder__startswith=f"{folder}/"))
        return with_versions(rows)

    @prompt_operation(
        "createPrompt",
        "Create a prompt",
        CREATE,
        body=request_bodies.GivenPrompt,
        answer=ShownPromptDetail,
        refusals=[409],
        status=201,
    )
    def post(self, asked: dict[str, Any]) -> dict[str, Any]:
        return detail(services.create_prompt(**asked, actor=self.actor))


class PromptDetail(PromptEndpoint):
    """One prompt. Key and kind never change; DELETE archives it, so clients get an error."""

    @prompt_operation("getPrompt", "One prompt", READ, answer=ShownPromptDetail)
    def get(self) -> dict[str, Any]:
        return detail(self.prompt)

    @prompt_operation(
        "editPrompt",
        "Edit the details of a prompt",
        WRITE,
        body=request_bodies.Details,
        partial=True,
        answer=ShownPromptDetail,
    )
    def patch(self, asked: dict[str, Any]) -> dict[str, Any]:
        services.edit_prompt(self.prompt, actor=self.actor, **asked)
        return detail(self.prompt)

    # Clients get an error then, so it needs the right to publish.
    @prompt_operation("archivePrompt", "Archive a prompt", PUBLISH)
    def delete(self) -> None:
        services.edit_prompt(self.prompt, actor=self.actor, archived=True)


class RestorePrompt(PromptEndpoint):
    """Restores an archived prompt: clients get it again as before."""

    @prompt_operation(
        "restorePrompt",
        "Restore an archived prompt",
        PUBLISH,
        answer=ShownPromptDetail,
    )
    def post(self) -> dict[str, Any]:
        services.edit_prompt(self.prompt, actor=self.actor, archived=False)
        return detail(self.prompt)


class PromptHistory(PromptEndpoint):
    """Lists who did what, when and why; newest first."""

    @prompt_operation(
        "listPromptHistory",
        "What happened to a prompt",
        READ,
        answer=response_bodies.ShownEvent,
        paged_by="-id",
    )
    def get(self) -> "QuerySet[PromptEvent]":
        return PromptEvent.objects.filter(prompt=self.prompt)
