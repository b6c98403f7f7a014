"""HTTP responses of the hot path."""

import math
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

from django.http import BadHeaderError

from llm.replies.stored import EVENTS
from llm.types import Parts
from valuecanvas.core.errors import GatewayError

# Answers are sent in pieces of this size, so that a client that does not read does not
# fill the server's write buffer.
PIECE_BYTES = 65_536


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


class StreamedResponse(HotResponse):
    """An answer that is sent part by part."""

    def __init__(self, parts: Parts, headers: Mapping[str, str]) -> None:
        super().__init__(b"", headers)
        self.parts = parts


class EventStream(StreamedResponse):
    """Server-sent events, written part by part as the provider sends them."""

    def __init__(self, parts: Parts, headers: Mapping[str, str]) -> None:
        super().__init__(parts, {**EVENTS, **headers})


class DownloadParts:
    """A file that is read while it is sent."""

    over = False
    # Each piece must be taken within LLM_SEND_TIMEOUT_S; the whole may take long.
    deadline = math.inf

    def __init__(self, parts: AsyncGenerator[bytes, None]) -> None:
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._parts:
            for at in range(0, len(part), PIECE_BYTES):
                yield part[at : at + PIECE_BYTES]

    async def wait_until_unwanted(self) -> None:
        """Nobody else reads it."""

    async def aclose(self) -> None:
        await self._parts.aclose()


def json_response(
    body: bytes, headers: Mapping[str, str] | None = None, status: int = 200
) -> HotResponse:
    """A JSON answer from bytes that are JSON already."""
    sent = {"Content-Type": "application/json", **(headers or {})}
    return HotResponse(body, sent, status)


def error_response(error: GatewayError, request_id: uuid.UUID) -> HotResponse:
    """The response to an error."""
    return json_response(error.json(str(request_id)), error.headers, error.status)
