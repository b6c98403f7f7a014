"""The lean path of the gateway: no middleware, no thread hop, no signals.

Django's own handler starts two threads for each request; this one reads the body,
resolves the URL, awaits the view and sends what it returns.
"""

import asyncio
import math
import uuid
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from io import BytesIO
from typing import Any

import structlog
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch, get_resolver

from llm.admission.load_shedding import LoadSlot
from llm.replies.http_responses import EventStream, error_response
from llm.types import CLIENT_GONE
from valuecanvas.core.errors import (
    GatewayError,
)
from valuecanvas.core.ids import uuid7
from valuecanvas.http import cors, hot_body, paths
from valuecanvas.http.hot_body import ClientGone, Receive, Scope
from valuecanvas.http.protocol.write_timeout import Patience, Send, cut

URLCONF = "valuecanvas.http.hot_urls"
# Answered however busy the process is.
PROBES = ("/health/", "/metrics")
# Of these a length would tell of the answer with a body, which nobody has.
BODILESS = (204, 304)
# A whole answer is handed on in pieces of this size: what a client does not read must
# not pile up behind a connection that nobody looks at any more.
PIECE_BYTES = 65_536
log = structlog.get_logger("hot")


class ClientWatch:
    """Cancels the request's task once its client has gone, from `start` to `stop`."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._serving: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment]
        self._task: asyncio.Task[None] | None = None
        self.gone = False
        # Awaited when the client has gone: as long as others want the answer.
        self.wait_until_unwanted: Callable[[], Awaitable[None]] | None = None

    def start(self) -> None:
        """Only once the body was read; a second call does nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._wait())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        # Else the request would hold itself, and be left to the garbage collector.
        self._task = self.wait_until_unwanted = None

    def end(self) -> None:
        """Cancel the request's task now."""
        self.gone = True
        self._serving.cancel(CLIENT_GONE)

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self.wait_until_unwanted is not None:
            await self.wait_until_unwanted()
        self.end()


async def handle(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request of the hot path."""
    watch = ClientWatch(receive)
    scope["valuecanvas.watch_client"] = watch.start

    def unread() -> None:
        log.info("client.cut", request_id=str(scope.get("valuecanvas.request_id")))
        if not cut(send):
            watch.end()

    patience = Patience(send, settings.LLM_SEND_TIMEOUT_S, unread)
    seat = LoadSlot()
    try:
        response = await _respond(scope, receive, seat)
        if isinstance(response, EventStream):
            await _send_stream(response, watch, patience)
        else:
            watch.stop()
            await send_whole(response, patience)
    except ClientGone:
        return
    except asyncio.CancelledError:
        if not watch.gone:
            raise
    finally:
        watch.stop()
        patience.close()
        seat.free()
        del scope["valuecanvas.watch_client"]


async def _respond(scope: Scope, receive: Receive, seat: LoadSlot) -> HttpResponseBase:
    request_id = uuid7()
    scope["valuecanvas.request_id"] = request_id
    try:
        body = await hot_body.read_body(scope, receive, seat)
        # Not before: whoever sends slowly would keep others out.
        if not scope["path"].startswith(PROBES):
            seat.take(scope["valuecanvas.runtime"].load_limit)
            scope["valuecanvas.runtime"].auth_throttle.refuse(scope)
        request = ASGIRequest(scope, BytesIO(body))
        request._body = body  # spares Django a second copy
        match = _resolved(request.path_info)
        response: HttpResponseBase = await match.func(
            request, *match.args, **match.kwargs
        )
    except Resolver404:
        response = _unknown(scope, request_id)
    except GatewayError as error:
        response = error_response(error, request_id)
    except ClientGone:
        raise
    except Exception as error:
        # The last one to catch it: no traceback may reach a client.
        log.exception("request.crashed", request_id=str(request_id))
        crash = GatewayError(
            f"Something broke here; quote the request id {request_id}."
        )
        crash.__cause__ = error
        response = error_response(crash, request_id)
    if response.status_code == 401:
        await scope["valuecanvas.runtime"].auth_throttle.note(scope)
    response["x-request-id"] = str(request_id)
    allow_origin(scope, response)
    return response


def _unknown(scope: Scope, request_id: uuid.UUID) -> HttpResponseBase:
    """A preflight gets through: else a page could not read the 404 that says why."""
    if scope["method"] == "OPTIONS":
        return HttpResponse(status=204)
    return error_response(paths.unknown(scope["path"]), request_id)


def allow_origin(scope: Scope, response: HttpResponseBase) -> None:
    if settings.CORS_ALLOWED_ORIGINS:
        origin = dict(scope["headers"]).get(b"origin", b"").decode("latin-1")
        cors.allow(origin, response, asked=_headers_asked_for(scope))


def _headers_asked_for(scope: Scope) -> str | None:
    """What a preflight wants to send; None where the request is no preflight."""
    if scope["method"] != "OPTIONS":
        return None
    sent = dict(scope["headers"]).get(b"access-control-request-headers", b"")
    return str(sent.decode("latin-1"))


@lru_cache(maxsize=256)
def _resolved(path: str) -> ResolverMatch:
    """The view of a path. Raises Resolver404."""
    return get_resolver(URLCONF).resolve(path)


def _start(response: HttpResponseBase) -> dict[str, Any]:
    return {
        "type": "http.response.start",
        "status": response.status_code,
        "headers": _encoded(response.items()),
    }


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]


async def send_whole(response: HttpResponseBase, patience: Patience) -> None:
    body = response.content if isinstance(response, HttpResponse) else b""
    if response.status_code not in BODILESS:
        response["Content-Length"] = str(len(body))
    await patience.send(_start(response))
    at, end = 0, len(body) - PIECE_BYTES
    while at < end:
        await patience.send(_body_message(body[at : at + PIECE_BYTES], more=True))
        at += PIECE_BYTES
    await patience.send(_body_message(body[at:], more=False))


async def _send_stream(
    response: EventStream, watch: ClientWatch, patience: Patience
) -> None:
    """Relay the parts; a client that leaves ends the stream at once."""
    parts, last = response.parts, b""
    watch.wait_until_unwanted = parts.wait_until_unwanted
    watch.start()
    try:
        patience.deadline = parts.deadline
        await patience.send(_start(response))
        async for part in parts:
            if parts.over:
                last = part
                break
            patience.deadline = parts.deadline
            await patience.send(
                {"type": "http.response.body", "body": part, "more_body": True}
            )
    finally:
        # Before the end is sent: servers report that as a disconnect too.
        watch.stop()
        await parts.aclose()
    patience.deadline = math.inf
    await patience.send(_body_message(last, more=False))


def _body_message(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}
