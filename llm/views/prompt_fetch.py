"""Serves prompts to clients that render them, from memory and with cache headers.

Unlike the other endpoints of prompts it runs on the hot path: no session, no query.
A caller gets what the gateway would send on for the same caller.
"""

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import orjson
from django.core.handlers.asgi import ASGIRequest
from django.utils.cache import get_conditional_response
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers as s

from billing.auth.principal import Principal
from llm.admission.free_reads import Readable
from llm.configuration.snapshot import Snapshot
from llm.replies.http_responses import HotResponse, json_response
from llm.resolve import context, flag_effects, usable_models
from llm.resolve.flag_effects import Effects
from llm.resolve.prompt_body import merge_parameters
from llm.resolve.prompt_field import PromptField
from llm.resolve.prompt_version import pick
from llm.views.base import HotView, call_of, require_scope, runtime
from prompts.models.prompt import PromptKind
from prompts.rendering.grammar import Template, Variable
from prompts.rendering.render import ChosenVersion, PromptLibrary
from valuecanvas.core.api.openapi_schema import answers
from valuecanvas.core.errors import InvalidRequest

SCOPE = "prompts:read"
# A client may use its copy while it revalidates, and while it cannot reach us.
CACHE_CONTROL = "private, max-age=60, stale-while-revalidate=600, stale-if-error=86400"
_KNOWN = frozenset({"label", "version", "user"})
_PARAMETERS = [
    OpenApiParameter(
        "label",
        {"type": "string", "minLength": 1},
        description="`production` unless given.",
    ),
    OpenApiParameter(
        "version",
        {"type": "integer", "minimum": 1},
        description="In place of a label.",
    ),
    OpenApiParameter(
        "user",
        {"type": "string", "minLength": 1},
        description="Your id for the user. Which side of an experiment or rollout is "
        "answered, and what flags say, is decided for this user; for the customer of "
        "the key where neither this nor a `targetingKey` names one.",
    ),
    OpenApiParameter(
        context.HEADER,
        location=OpenApiParameter.HEADER,
        description="What flags and experiments may know of the user, a JSON object: "
        '`{"targetingKey": "user-123", "country": "SE"}`.',
    ),
    OpenApiParameter(
        "If-None-Match",
        location=OpenApiParameter.HEADER,
        description="The ETag of the last answer: 304 if nothing changed.",
    ),
]


class FetchedMessage(s.Serializer):
    role = s.CharField()
    content = s.CharField()


class FetchedPrompt(s.Serializer):
    key = s.CharField()
    kind = s.ChoiceField(PromptKind.choices)
    version = s.IntegerField()
    label = s.CharField(  # type: ignore[assignment]
        help_text="The label that selected it; '' for a version."
    )
    variant = s.CharField(help_text="Of an experiment or rollout; '' without one.")
    template = s.CharField(allow_null=True, help_text="Of a text prompt.")
    messages = FetchedMessage(many=True)
    variables = s.ListField(child=s.DictField())
    model = s.CharField(allow_null=True)
    parameters = s.DictField()


class FetchPrompt(HotView):
    """The words with other prompts put in and `{{name}}` left; cache it by its ETag."""

    @extend_schema(
        operation_id="fetchPrompt",
        summary="Fetch a prompt to render it yourself",
        parameters=_PARAMETERS,
        responses={
            **answers(FetchedPrompt, 400, 404),
            304: OpenApiResponse(description="Not changed: use your copy."),
        },
        tags=["Prompts"],
    )
    async def get(self, request: ASGIRequest, key: str) -> HotResponse:
        asked = _asked(request.GET.dict())
        call = call_of(request, "prompts", {}, user=asked.get("user", ""))
        snapshot, principal = await runtime(request).free_reads.open(call)
        require_scope(principal, SCOPE)
        known = context.build(principal, {"user": asked.get("user")}, call.context)
        found = flag_effects.evaluate_flags(snapshot.flags, known, time.time())
        chosen = pick(snapshot.prompt_library, _named(key, asked), known, found)
        body = render_prompt(snapshot.prompt_library, chosen, found)
        body["model"] = _model(chosen, found, principal, snapshot)
        response = _conditional(request, orjson.dumps(body), snapshot.epoch)
        if response.status == 200:
            runtime(request).exposures.note_all(found.values)
        return response


def render_prompt(
    library: PromptLibrary, chosen: ChosenVersion, found: Effects
) -> dict[str, Any]:
    """The answer without the model. Raises BrokenPrompt."""
    prompt, version = chosen.prompt, chosen.version
    body = library.body(prompt, version)
    texts = [(role, _source(words)) for role, words in body.messages]
    return {
        "key": prompt.key,
        "kind": prompt.kind,
        "version": version.number,
        "label": chosen.label,
        "variant": chosen.variant,
        "template": None if prompt.is_chat else texts[0][1],
        "messages": [{"role": role, "content": text} for role, text in texts],
        "variables": [
            {
                "name": one.name,
                "description": one.description,
                "default": one.default,
                "schema": one.schema,
            }
            for one in body.declared
        ],
        "parameters": merge_parameters(version.words.parameters, found.parameters),
    }


def _model(
    chosen: ChosenVersion, found: Effects, principal: Principal, snapshot: Readable
) -> str | None:
    """The model of the flag, experiment or version, in this order; None: none is set."""
    for name in (found.model, chosen.model):
        # The last known configuration has no models.
        if name and (
            not isinstance(snapshot, Snapshot)
            or usable_models.is_usable(
                name, "chat", principal=principal, snapshot=snapshot
            )
        ):
            return name
    return chosen.version.model or None


def _named(key: str, asked: Mapping[str, str]) -> PromptField:
    version = asked.get("version")
    number = None if version is None else int(version)
    return PromptField(key, number, asked.get("label"), {})


def _asked(query: Mapping[str, str]) -> Mapping[str, str]:
    """The query, checked: a misspelt 'label' must not serve production."""
    unknown = sorted(query.keys() - _KNOWN)
    if unknown:
        raise InvalidRequest(
            f"Unknown parameter '{unknown[0][:100]}'. "
            f"Known: {', '.join(sorted(_KNOWN))}.",
            param=unknown[0][:100],
        )
    for name, value in query.items():
        if not value:
            raise InvalidRequest(f"'{name}' is empty.", param=name)
    number = query.get("version", "1")
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise InvalidRequest("'version' must be a whole number.", param="version")
    return query


def _source(words: Template) -> str:
    """The text of an expanded template."""
    return "".join(
        f"{{{{{piece.name}}}}}" if isinstance(piece, Variable) else str(piece)
        for piece in words.pieces
    )


def _conditional(request: ASGIRequest, body: bytes, epoch: int) -> HotResponse:
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {
        "ETag": etag,
        "Cache-Control": CACHE_CONTROL,
        "Vary": f"Authorization, {context.HEADER}",
        "x-valuecanvas-epoch": str(epoch),
    }
    refused = get_conditional_response(request, etag=etag)
    if refused is not None:
        return HotResponse(b"", headers, refused.status_code)
    return json_response(body, headers)
