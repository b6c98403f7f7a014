"""Reads the body of a request of the hot path, within bytes, time and memory."""

import asyncio
from collections.abc import Awaitable, Callable
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest

from billing import proof
from llm.room import FREE_BYTES, Seat
from llm.types import Call
from valuecanvas.core.errors import BodyTooLarge, InvalidRequest

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
# So much may be sent by anybody; whoever sends more must be known. Each further such
# part has as much time as the first.
PART_BYTES = 1_048_576
# Set in the scope by a server that has the whole body: there is nothing to wait for.
WHOLE = "valuecanvas.body_whole"


class ClientGone(Exception):
    """The client closed its connection."""


async def read(scope: Scope, receive: Receive, seat: Seat) -> bytes:
    """The whole body, whose bytes `seat` counts.

    Raises BodyTooLarge, InvalidRequest, NotAuthenticated, Unavailable, ClientGone.
    """
    most = settings.LLM_MAX_BODY_BYTES
    for name, told in scope["headers"]:
        if name == b"content-length" and told.isdigit() and int(told) > most:
            raise _too_large(most)
    if WHOLE in scope:
        return await _parts(scope, receive, seat, None)
    try:
        async with asyncio.timeout(settings.LLM_HEADER_TIMEOUT_S) as limit:
            return await _parts(scope, receive, seat, limit)
    except TimeoutError as error:
        raise InvalidRequest(
            "The body did not arrive in time.",
            code="request_timeout",
            # The rest of it may still come, and is no request.
            headers={"Connection": "close"},
        ) from error


async def _parts(
    scope: Scope, receive: Receive, seat: Seat, limit: asyncio.Timeout | None
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
            seat.count(scope["valuecanvas.runtime"].room, size)
        if timed == PART_BYTES < size:
            await _known(scope)
        while limit is not None and timed < size:
            limit.reschedule((limit.when() or 0) + settings.LLM_HEADER_TIMEOUT_S)
            timed += PART_BYTES
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _known(scope: Scope) -> None:
    """Raises what an unknown caller is told."""
    sent = ASGIRequest(scope, BytesIO()).META
    call = Call(
        id=scope["valuecanvas.request_id"],
        endpoint="",
        body={},
        authorization=proof.authorization(sent),
    )
    await scope["valuecanvas.runtime"].admission.identify(call)


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body may have at most {most} bytes.")
