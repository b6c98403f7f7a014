"""Reads request bodies of the hot path, with limits on bytes, time and memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest

from llm.admission.load_shedding import FREE_BYTES, LoadSlot
from llm.views.base import bare_call
from valuecanvas.core.errors import BodyTooLarge, InvalidRequest
from valuecanvas.http.protocol.uvicorn_protocol import WHOLE_BODY

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
# A larger body needs a known caller. Each further part of this size has as much time as
# the first.
PART_BYTES = 1_048_576


class ClientGone(Exception):
    """The client closed its connection."""


async def read_body(scope: Scope, receive: Receive, slot: LoadSlot) -> bytes:
    """The whole body; `slot` counts its bytes.

    Raises BodyTooLarge, InvalidRequest, NotAuthenticated, Unavailable, ClientGone.
    """
    most = settings.LLM_MAX_BODY_BYTES
    _check_length(scope, most)
    if WHOLE_BODY in scope:
        return await _parts(scope, receive, slot, None)
    try:
        async with asyncio.timeout(settings.LLM_HEADER_TIMEOUT_S) as limit:
            return await _parts(scope, receive, slot, limit)
    except TimeoutError as error:
        raise _too_slow() from error


async def _parts(
    scope: Scope, receive: Receive, slot: LoadSlot, limit: asyncio.Timeout | None
) -> bytes:
    parts: list[bytes] = []
    most = settings.LLM_MAX_BODY_BYTES
    size, more, timed = 0, True, PART_BYTES
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise _too_large(most)
        if size > FREE_BYTES:
            slot.count(scope["valuecanvas.runtime"].load_limit, size)
        if timed == PART_BYTES < size:
            await _require_known_caller(scope)
        while limit is not None and timed < size:
            limit.reschedule((limit.when() or 0) + settings.LLM_HEADER_TIMEOUT_S)
            timed += PART_BYTES
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class BodyStream:
    """The body of a request whose view reads it, once: see HotView.streams_body."""

    def __init__(self, scope: Scope, receive: Receive, slot: LoadSlot) -> None:
        self._scope = scope
        self._receive = receive
        self._slot = slot

    async def read(self) -> bytes:
        """The whole of it, as views get it that do not read it themselves."""
        return await read_body(self._scope, self._receive, self._slot)

    async def chunks(self, most: int) -> AsyncIterator[bytes]:
        """Its bytes as they arrive.

        Raises BodyTooLarge (more than `most`), InvalidRequest (too slow), ClientGone.
        """
        _check_length(self._scope, most)
        due = asyncio.get_running_loop().time() + settings.LLM_HEADER_TIMEOUT_S
        size, more, timed = 0, True, PART_BYTES
        while more:
            try:
                async with asyncio.timeout_at(due):
                    message = await self._receive()
            except TimeoutError as error:
                raise _too_slow() from error
            if message["type"] == "http.disconnect":
                raise ClientGone
            more = message.get("more_body", False)
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > most:
                raise _too_large(most)
            while timed < size:
                due += settings.LLM_HEADER_TIMEOUT_S
                timed += PART_BYTES
            yield chunk


async def _require_known_caller(scope: Scope) -> None:
    """Raises the authentication error of an unknown caller."""
    call = bare_call(ASGIRequest(scope, BytesIO()), "")
    await scope["valuecanvas.runtime"].authentication.identify(call)


def _check_length(scope: Scope, most: int) -> None:
    """Raises BodyTooLarge for a Content-Length of more than `most`."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > most:
            raise _too_large(most)


def _too_slow() -> InvalidRequest:
    return InvalidRequest(
        "The body did not arrive in time.",
        code="request_timeout",
        # The rest of the body may still arrive and must not be read as a request.
        headers={"Connection": "close"},
    )


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body may have at most {most} bytes.")
