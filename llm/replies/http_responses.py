"""HTTP responses of the hot path."""

import uuid
from collections.abc import Mapping

from django.http import HttpResponse
from django.http.response import HttpResponseBase

from llm.replies.stored import EVENTS
from llm.types import Parts
from valuecanvas.core.errors import GatewayError


class EventStream(HttpResponseBase):
    """Server-sent events, written part by part as the provider sends them."""

    streaming = True

    def __init__(self, parts: Parts, headers: Mapping[str, str]) -> None:
        super().__init__(headers={**EVENTS, **headers})
        self.parts = parts


def json_response(
    body: bytes, headers: Mapping[str, str] | None = None, status: int = 200
) -> HttpResponse:
    """A JSON answer from bytes that are JSON already."""
    return HttpResponse(
        body,
        headers={"Content-Type": "application/json", **(headers or {})},
        status=status,
    )


def error_response(error: GatewayError, request_id: uuid.UUID) -> HttpResponse:
    """The response to an error."""
    return json_response(error.json(str(request_id)), error.headers, error.status)
