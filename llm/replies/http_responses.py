"""HTTP responses of the hot path."""

import uuid
from collections.abc import Mapping

from django.http import BadHeaderError

from llm.replies.stored import EVENTS
from llm.types import Parts
from valuecanvas.core.errors import GatewayError


class HotResponse:
    """A whole answer of the hot path.

    Django's own response costs several times as much for headers, cookies and a reason.
    """

    def __init__(
        self, body: bytes, headers: Mapping[str, str], status: int = 200
    ) -> None:
        """Raises BadHeaderError for a line break, as it would start another header."""
        values = "".join(headers.values())
        if "\n" in values or "\r" in values:
            raise BadHeaderError("A header's value has a line break.")
        self.body = body
        self.headers = dict(headers)
        self.status = status


class EventStream(HotResponse):
    """Server-sent events, written part by part as the provider sends them."""

    def __init__(self, parts: Parts, headers: Mapping[str, str]) -> None:
        super().__init__(b"", {**EVENTS, **headers})
        self.parts = parts


def json_response(
    body: bytes, headers: Mapping[str, str] | None = None, status: int = 200
) -> HotResponse:
    """A JSON answer from bytes that are JSON already."""
    sent = {"Content-Type": "application/json", **(headers or {})}
    return HotResponse(body, sent, status)


def error_response(error: GatewayError, request_id: uuid.UUID) -> HotResponse:
    """The response to an error."""
    return json_response(error.json(str(request_id)), error.headers, error.status)
