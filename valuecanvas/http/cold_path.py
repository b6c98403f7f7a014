"""The cold path: requests that Django serves (admin, management API, documents).

Its threads, database connections, memory and the time of slow clients are limited, so
that it cannot slow down the hot path.
"""

import asyncio
import random
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

import structlog
from django.conf import settings
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve
from prometheus_client import Counter

from llm.replies.http_responses import HotResponse, error_response
from valuecanvas.core.errors import (
    BodyTooLarge,
    GatewayError,
    RequestTooLate,
    Unavailable,
)
from valuecanvas.core.ids import uuid7
from valuecanvas.core.telemetry.request_context import CLIENT_GONE, RequestContext
from valuecanvas.http import hot, page_headers, paths
from valuecanvas.http.fairness import origin
from valuecanvas.http.fairness.fair_queue import FairQueue, QueueFull
from valuecanvas.http.fairness.held_bytes import HeldBytes, HeldShare
from valuecanvas.http.hot_body import PART_BYTES, ClientGone, Receive, Scope
from valuecanvas.http.protocol.write_timeout import Send, TimedSender, cut

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# A larger streamed answer is sent while it is made.
MOST_KEPT_BYTES = 4_194_304
RETRY_AFTER_S = 1
# Between two pages of a visitor of whom more wait, in seconds.
MOST_PAUSE_S = 0.25
# The interpreter's switch interval while Django works, in seconds: with Python's default
# of 5 ms, requests of the hot path would wait ten times as long.
SWITCH_S = 0.0005
REFUSED = Counter(
    "valuecanvas_pages_refused_total",
    "Pages and management calls refused because too many were under way.",
)
log = structlog.get_logger("cold")


class ColdPath:
    """One per process. Passes complete requests to Django, only a few at once."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._slots = FairQueue(settings.PAGE_MAX_RUNNING, settings.PAGE_MAX_WAITING)
        self._running = 0
        self._held = HeldBytes()
        self._switch_s = sys.getswitchinterval()

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and log its event."""
        ids = {"request_id": str(uuid7())}
        with RequestContext(_route(scope["path"]), ids) as done:
            await self._handle(scope, receive, send, done)

    async def _handle(
        self, scope: Scope, receive: Receive, send: Send, done: RequestContext
    ) -> None:
        held = HeldShare(self._held, origin.identify(scope))
        sender = TimedSender(send, settings.LLM_SEND_TIMEOUT_S, lambda: _cut(send))
        try:
            messages = _Messages(sender, held, done.ids["request_id"])
            await self._answer(scope, receive, messages, held)
            done.status = messages.status
            # A client that reads slowly holds no slot meanwhile.
            await messages.send()
        except GatewayError as error:
            done.refuse(error)
            if isinstance(error, Unavailable):
                await asyncio.sleep(_pause())
            response = _refusal(scope, error, done.ids["request_id"])
            await hot.send_whole(response, sender)
        except ClientGone:
            return
        finally:
            sender.close()
            held.free()

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        messages: "_Messages",
        held: HeldShare,
    ) -> None:
        """Fill `messages` with Django's. Raises GatewayError, ClientGone."""
        # A client that sends slowly holds no slot meanwhile.
        body = await _body(scope, receive, held)
        scope = {**scope, "headers": _headers(scope, len(body))}
        async with self._slot(held.visitor):
            await self._application(scope, _replay(body), messages.add)

    @asynccontextmanager
    async def _slot(self, who: str) -> AsyncIterator[None]:
        """Hold a slot: a thread and a database connection. Raises Unavailable."""
        try:
            async with asyncio.timeout(settings.DB_PAGE_TIMEOUT_S):
                await self._slots.take(who)
        except (QueueFull, TimeoutError):
            raise _busy() from None
        self._count(1)
        started = time.monotonic()
        try:
            yield
        finally:
            self._count(-1)
            self._give_back(who, time.monotonic() - started)

    def _give_back(self, who: str, took: float) -> None:
        """At once; but where more of this visitor wait, requests to models come first.

        Threads of pages that follow each other without a pause would take half of the
        interpreter's time, or more.
        """
        if not self._slots.is_waiting(who):
            self._slots.give_back(who)
            return
        loop = asyncio.get_running_loop()
        loop.call_later(min(took, MOST_PAUSE_S), self._slots.give_back, who)

    def _count(self, more: int) -> None:
        self._running += more
        sys.setswitchinterval(SWITCH_S if self._running else self._switch_s)


class _Messages:
    """Django's messages of one answer, kept until it is whole.

    A download is too large for that: it is sent while it is read, and holds its slot.
    """

    status = CLIENT_GONE

    def __init__(self, sender: TimedSender, held: HeldShare, request_id: str) -> None:
        self._sender = sender
        self._held = held
        self._request_id = (b"x-request-id", request_id.encode())
        self._kept: list[dict[str, Any]] = []
        self._size = 0

    async def add(self, message: dict[str, Any]) -> None:
        size = len(message.get("body", b""))
        if "status" in message:
            self.status = message["status"]
            headers = [
                one for one in message["headers"] if one[0].lower() != b"x-request-id"
            ]
            message = {**message, "headers": [*headers, self._request_id]}
        self._kept.append(message)
        self._size += size
        self._held.add(size)
        if self._size > MOST_KEPT_BYTES and message.get("more_body"):
            await self.send()

    async def send(self) -> None:
        """Send what is kept; whoever reads it too slowly as a whole is cut too."""
        parts = 1 + self._size // PART_BYTES
        self._sender.deadline = time.monotonic() + settings.LLM_SEND_TIMEOUT_S * parts
        for message in self._kept:
            await self._sender.send(message)
        self._kept.clear()
        self._held.add(-self._size)
        self._size = 0


async def _body(scope: Scope, receive: Receive, held: HeldShare) -> bytes:
    """The whole body. Raises BodyTooLarge, RequestTooLate, Unavailable, ClientGone."""
    _refuse_too_much(held)
    if int(dict(scope["headers"]).get(b"content-length", 0)) > _most():
        raise _too_large()
    try:
        async with asyncio.timeout(settings.LLM_HEADER_TIMEOUT_S):
            return await _parts(receive, held)
    except TimeoutError as error:
        raise RequestTooLate(
            "The body did not arrive in time.", headers={"Connection": "close"}
        ) from error


async def _parts(receive: Receive, held: HeldShare) -> bytes:
    found, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        found += message.get("body", b"")
        if len(found) > _most():
            raise _too_large()
        held.add(len(message.get("body", b"")))
        _refuse_too_much(held)
        more = message.get("more_body", False)
    return bytes(found)


def _refuse_too_much(held: HeldShare) -> None:
    """Raises Unavailable if too many bytes are held already."""
    if held.too_much:
        raise _busy()


def _headers(scope: Scope, length: int) -> list[tuple[bytes, bytes]]:
    """The headers with a Content-Length: without it DRF would see no body."""
    found = [one for one in scope["headers"] if one[0] != b"transfer-encoding"]
    if len(found) < len(scope["headers"]):
        found.append((b"content-length", str(length).encode()))
    return found


def _replay(body: bytes) -> Receive:
    """Return the body once, and never report that the client has disconnected.

    Else Django would return early, and its thread would run on without a slot.
    """
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop()

    return receive


def _most() -> int:
    return settings.PAGE_MAX_BODY_BYTES


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"The body may have at most {_most()} bytes.")


def _busy() -> Unavailable:
    REFUSED.inc()
    return Unavailable(
        "This server is busy with other pages and management calls; "
        f"ask again in {RETRY_AFTER_S} s.",
        code="overloaded",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def _pause() -> float:
    """Seconds before a refusal: whoever asks again at once is not refused faster than that.

    Not the same for all: hundreds that were refused in one moment would come again in one
    moment, and hold up the requests to models that come in between.
    """
    return RETRY_AFTER_S * random.uniform(1, 2)  # noqa: S311 - no secret


def _refusal(scope: Scope, error: GatewayError, request_id: str) -> HotResponse:
    """The refusal as JSON for programs, or as a page for people."""
    if paths.API.match(scope["path"]):
        response = error_response(error, uuid.UUID(request_id))
    else:
        headers = {"Content-Type": "text/html; charset=utf-8", **error.headers}
        response = HotResponse(_page(error.message), headers, error.status)
    response.headers |= page_headers.find_headers(scope["path"])
    hot.allow_origin(scope, response)
    return response


@lru_cache(maxsize=16)
def _page(message: str) -> bytes:
    """The refusal page, cached: rendering it many times would slow down the hot path."""
    return render_to_string("refused.html", {"message": message}).encode()


def _route(path: str) -> str:
    """The pattern of the path, which names no object."""
    try:
        return resolve(path).route or "/"
    except Resolver404:
        return "unknown"


def _cut(send: Send) -> None:
    """Close the connection of a client that does not read its answer."""
    log.info("client.cut")
    cut(send)
