"""The caller's callback URLs, and the secrets that sign callbacks."""

from collections.abc import Mapping
from typing import Any

import orjson
from django.core.handlers.asgi import ASGIRequest
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as s

from llm.jobs import callbacks
from llm.jobs.views.base import JobsView, parse_id, query
from llm.replies.http_responses import HotResponse, json_response
from valuecanvas.core.api.openapi_schema import answers

TAG = ["Jobs"]
# Secrets are in the answers.
NO_STORE = {"Cache-Control": "no-store"}


class CallbackFailure(s.Serializer):
    at = s.DateTimeField()
    message = s.CharField()


class CallbackShape(s.Serializer):
    id = s.UUIDField()
    object = s.CharField(help_text="'callback'")
    url = s.URLField()
    secret = s.CharField(
        allow_null=True, help_text="Signs what is sent there, by Standard Webhooks."
    )
    oldSecretUntil = s.DateTimeField(
        allow_null=True, help_text="Until then the secret before it signs too."
    )
    state = s.ChoiceField(["enabled", "failing", "disabled"])
    disabledReason = s.CharField(allow_null=True)
    createdAt = s.DateTimeField()
    lastFailure = CallbackFailure(allow_null=True)


class CallbackPage(s.Serializer):
    data = CallbackShape(many=True)  # type: ignore[assignment]


class Callbacks(JobsView):
    """The caller's callback URLs."""

    @extend_schema(
        operation_id="listCallbacks",
        summary="List callback URLs",
        description="A URL is listed once a job or batch was submitted with it.",
        responses=answers(CallbackPage),
        tags=TAG,
    )
    async def get(self, request: ASGIRequest) -> HotResponse:
        owner = await self.owner(request)
        found = await query(request, callbacks.list_callbacks, owner.customer_id)
        return _document({"data": found})


class CallbackDetail(JobsView):
    """One callback URL."""

    @extend_schema(
        operation_id="deleteCallback",
        summary="Delete a callback URL",
        description="With its secret and what waits to be sent there. 409 while a job or "
        "batch that will call it has not ended.",
        responses=answers(None, 404, 409, status=204),
        tags=TAG,
    )
    async def delete(self, request: ASGIRequest, callback_id: str) -> HotResponse:
        owner = await self.owner(request)
        key = parse_id(callback_id, "callback")
        await query(request, callbacks.delete_callback, owner.customer_id, key)
        return HotResponse(b"", {}, 204)


class CallbackRotate(JobsView):
    """Replaces the secret of a callback URL."""

    @extend_schema(
        operation_id="rotateCallback",
        summary="Rotate a callback's secret",
        description="For 24 hours the old secret signs too.",
        request=None,
        responses=answers(CallbackShape, 404),
        tags=TAG,
    )
    async def post(self, request: ASGIRequest, callback_id: str) -> HotResponse:
        owner = await self.owner(request)
        key = parse_id(callback_id, "callback")
        found = await query(request, callbacks.rotate_callback, owner.customer_id, key)
        return _document(found)


def _document(body: Mapping[str, Any]) -> HotResponse:
    return json_response(orjson.dumps(body), NO_STORE)
