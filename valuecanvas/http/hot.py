"""The hot path: serves requests without middleware, threads and signals.

Django's handler starts two threads for each request. This one reads the body, resolves
the URL, awaits the view and sends its response.
"""

import asyncio
import math
import re
import sys
import uuid
from collections.abc import Awaitable, Callable
from email.header import Header
from functools import lru_cache
from io import BytesIO
from typing import Any

import structlog
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.urls import Resolver404, ResolverMatch, get_resolver

from llm.admission import auth_throttle
from llm.admission.load_shedding import LoadSlot
from llm.replies.http_responses import (
    PIECE_BYTES,
    HotResponse,
    StreamedResponse,
    error_response,
)
from llm.types import CLIENT_GONE, Call
from valuecanvas.core.errors import (
    GatewayError,
    NotAuthenticated,
    NotPermitted,
    TooManyRequests,
    Unavailable,
)
from valuecanvas.core.ids import uuid7
from valuecanvas.core.telemetry import request_context
from valuecanvas.core.telemetry.request_context import RequestContext
from valuecanvas.http import cors, hot_body, paths, request_trace
from valuecanvas.http.hot_body import BodyStream, ClientGone, Receive, Scope
from valuecanvas.http.protocol.write_timeout import Send, TimedSender, cut

URLCONF = "valuecanvas.http.hot_urls"
# Served even if the process is overloaded.
PROBES = ("/health/", "/metrics")
# What the pipeline calls the endpoints of these paths.
ENDPOINTS = {
    "/v1/chat/completions": "chat",
    "/v1/embeddings": "embeddings",
    "/v1/responses": "responses",
    "/api/llm/complete": "chat",
}
READS = ("GET", "HEAD", "OPTIONS")
READS_REFUSED = (NotAuthenticated, NotPermitted, TooManyRequests, Unavailable)
_PARAMETER = re.compile(r"<\w+:(\w+)>")
# These statuses have no body, and get no Content-Length.
BODILESS = (204, 304)
log = structlog.get_logger("hot")


class ClientWatch:
    """Cancels the request's task when the client disconnects, from `start` to `stop`."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._serving: asyncio.Task[Any] = asyncio.current_task()  # type: ignore[assignment]
        self._task: asyncio.Task[None] | None = None
        self.gone = False
        # Awaited after a disconnect: returns once nobody else needs the answer.
        self.wait_until_unwanted: Callable[[], Awaitable[None]] | None = None

    def start(self) -> None:
        """Call it after the body was read; a second call does nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._wait())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        # Breaks a reference cycle.
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
    """Serve one request of the hot path, with its trace and its event."""
    request_id = scope["valuecanvas.request_id"] = uuid7()
    ids = {"request_id": str(request_id)}
    if scope["path"].startswith(PROBES):
        # They come every few seconds.
        with RequestContext("", ids):
            await _serve(scope, receive, send)
        return
    with RequestContext("unknown", ids), request_trace.start(scope):
        await _serve(scope, receive, send)


async def _serve(scope: Scope, receive: Receive, send: Send) -> None:
    watch = ClientWatch(receive)
    scope["valuecanvas.watch_client"] = watch.start

    def unread() -> None:
        log.info("client.cut")
        if not cut(send):
            watch.end()

    sender = TimedSender(send, settings.LLM_SEND_TIMEOUT_S, unread)
    slot = LoadSlot()
    try:
        response = await _respond(scope, receive, slot)
        if isinstance(response, StreamedResponse):
            await _send_stream(response, watch, sender)
        else:
            watch.stop()
            await send_whole(response, sender)
    except ClientGone:
        return
    except asyncio.CancelledError:
        if not watch.gone:
            raise
    finally:
        watch.stop()
        sender.close()
        slot.free()
        del scope["valuecanvas.watch_client"]


async def _respond(scope: Scope, receive: Receive, slot: LoadSlot) -> HotResponse:
    request_id = scope["valuecanvas.request_id"]
    done = request_context.current()
    try:
        match = _resolve(scope["path"])
        scope["valuecanvas.route"] = match.route
        done.name(ENDPOINTS.get(scope["path"], match.route))
        # Django's types do not know that all our views are classes.
        if match.func.cls.streams_body:  # type: ignore[attr-defined]
            body = b""
            scope["valuecanvas.body"] = BodyStream(scope, receive, slot)
        else:
            body = await hot_body.read_body(scope, receive, slot)
        # Only after the body: slow clients must not hold a slot.
        if not scope["path"].startswith(PROBES):
            slot.take(scope["valuecanvas.runtime"].load_limit)
            scope["valuecanvas.runtime"].auth_throttle.refuse(scope)
        request = ASGIRequest(scope, BytesIO(body))
        request._body = body  # spares Django a second copy
        response: HotResponse = await match.func(request, *match.args, **match.kwargs)
    except Resolver404:
        response = _unknown(scope, request_id)
    except GatewayError as error:
        done.refuse(error)
        _keep_refusal(scope, error)
        response = error_response(error, request_id)
    except ClientGone:
        raise
    except Exception as error:
        # The last handler: no traceback may reach a client.
        log.exception("request.crashed")
        crash = GatewayError(f"Internal error: quote the request id {request_id}.")
        crash.__cause__ = error
        done.refuse(crash)
        response = error_response(crash, request_id)
    done.status = response.status
    done.replayed = "Idempotent-Replayed" in response.headers
    if response.status == 401:
        await scope["valuecanvas.runtime"].auth_throttle.note(scope)
    response.headers["x-request-id"] = str(request_id)
    response.headers["x-content-type-options"] = "nosniff"
    request_trace.note_answer(scope, response)
    allow_origin(scope, response)
    return response


def _keep_refusal(scope: Scope, error: GatewayError) -> None:
    """Trace what was refused outside the pipeline, such as a body that is too large.

    Of calls that only read, those refused for their key, a limit or an overload: that
    there is no such job, or no answer so far, is an answer to who polls.
    """
    if scope["method"] in READS and not isinstance(error, READS_REFUSED):
        return
    if error.recorded or error.status == 500:
        return
    refusals = scope["valuecanvas.runtime"].refusals
    call = Call(
        scope["valuecanvas.request_id"],
        ENDPOINTS.get(scope["path"]) or _route(scope["path"]),
        {},
        authorization=auth_throttle.authorization(scope),
    )
    refusals.note_known(refusals.watch(call), error)


def _route(path: str) -> str:
    """The path without the ids in it, as in '/v1/files/{file_id}'."""
    return _PARAMETER.sub(r"{\1}", f"/{_resolve(path).route}")


def _unknown(scope: Scope, request_id: uuid.UUID) -> HotResponse:
    """404; but a preflight is answered, so that a page can read the 404."""
    if scope["method"] == "OPTIONS":
        return HotResponse(b"", {}, 204)
    return error_response(paths.unknown(scope["path"]), request_id)


def allow_origin(scope: Scope, response: HotResponse) -> None:
    if settings.CORS_ALLOWED_ORIGINS:
        origin = dict(scope["headers"]).get(b"origin", b"").decode("latin-1")
        cors.allow(origin, response.headers, asked=_headers_asked_for(scope))


def _headers_asked_for(scope: Scope) -> str | None:
    """The headers that a preflight asks for; None: this is no preflight."""
    if scope["method"] != "OPTIONS":
        return None
    sent = dict(scope["headers"]).get(b"access-control-request-headers", b"")
    return str(sent.decode("latin-1"))


@lru_cache(maxsize=256)
def _resolve(path: str) -> ResolverMatch:
    """The view for a path. Raises Resolver404."""
    return get_resolver(URLCONF).resolve(path)


def _start(response: HotResponse) -> dict[str, Any]:
    return {
        "type": "http.response.start",
        "status": response.status,
        "headers": [
            (name.encode("ascii"), _encode(value))
            for name, value in response.headers.items()
        ],
    }


def _encode(value: str) -> bytes:
    """What is not Latin-1 is sent as MIME words, as Django does."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return Header(value, "utf-8", maxlinelen=sys.maxsize).encode().encode("ascii")


async def send_whole(response: HotResponse, sender: TimedSender) -> None:
    body = response.body
    if response.status not in BODILESS:
        response.headers["Content-Length"] = str(len(body))
    await sender.send(_start(response))
    at, end = 0, len(body) - PIECE_BYTES
    while at < end:
        await sender.send(_body_message(body[at : at + PIECE_BYTES], more=True))
        at += PIECE_BYTES
    await sender.send(_body_message(body[at:], more=False))


async def _send_stream(
    response: StreamedResponse, watch: ClientWatch, sender: TimedSender
) -> None:
    """Send the parts; when the client disconnects, the stream ends at once."""
    parts, last = response.parts, b""
    watch.wait_until_unwanted = parts.wait_until_unwanted
    watch.start()
    try:
        sender.deadline = parts.deadline
        await sender.send(_start(response))
        async for part in parts:
            if parts.over:
                last = part
                break
            sender.deadline = parts.deadline
            await sender.send(
                {"type": "http.response.body", "body": part, "more_body": True}
            )
    finally:
        # Before the last part: servers report the end of an answer as a disconnect too.
        watch.stop()
        await parts.aclose()
    sender.deadline = math.inf
    await sender.send(_body_message(last, more=False))


def _body_message(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}
