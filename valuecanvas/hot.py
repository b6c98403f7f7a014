"""The lean path of the gateway: no middleware, no thread hop, no signals.

Django's own handler starts two threads for each request; this one reads the body,
resolves the URL, awaits the view and sends what it returns.
"""

import asyncio
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

from llm.responses import EventStream, error_response
from llm.types import CLIENT_GONE
from valuecanvas import cors
from valuecanvas.core.errors import (
    BodyTooLarge,
    GatewayError,
    InvalidRequest,
    NotFound,
)
from valuecanvas.core.ids import uuid7

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

URLCONF = "valuecanvas.hot_urls"
# Of these a length would tell of the answer with a body, which nobody has.
BODILESS = (204, 304)
log = structlog.get_logger("hot")


class ClientGone(Exception):
    """The client closed its connection."""


class Watch:
    """Cancels the request's task once its client has gone, from `start` to `stop`."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task: asyncio.Task[None] | None = None
        self.gone = False
        # Asked when the client has gone: does anybody else want the answer?
        self.unless: Callable[[], bool] | None = None

    def start(self) -> None:
        """Only once the body was read; a second call does nothing."""
        if self._task is None:
            serving = asyncio.current_task()
            self._task = asyncio.create_task(self._wait(serving))  # type: ignore[arg-type]

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        # Else the request would hold itself, and be left to the garbage collector.
        self._task = self.unless = None

    async def _wait(self, serving: "asyncio.Task[Any]") -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self.unless is not None and self.unless():
            return
        self.gone = True
        serving.cancel(CLIENT_GONE)


async def handle(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request of the hot path."""
    watch = Watch(receive)
    scope["valuecanvas.watch_client"] = watch.start
    try:
        response = await _respond(scope, receive)
        if isinstance(response, EventStream):
            await _send_stream(response, watch, send)
        else:
            watch.stop()
            await _send_whole(response, send)
    except ClientGone:
        return
    except asyncio.CancelledError:
        if not watch.gone:
            raise
    finally:
        watch.stop()
        del scope["valuecanvas.watch_client"]


async def _respond(scope: Scope, receive: Receive) -> HttpResponseBase:
    request_id = uuid7()
    scope["valuecanvas.request_id"] = request_id
    try:
        body = await _body(scope, receive)
        request = ASGIRequest(scope, BytesIO(body))
        request._body = body  # spares Django a second copy
        match = _resolved(request.path_info)
        response: HttpResponseBase = await match.func(
            request, *match.args, **match.kwargs
        )
    except Resolver404:
        missing = NotFound("There is nothing at this path.", code="unknown_path")
        response = error_response(missing, request_id)
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
    response["x-request-id"] = str(request_id)
    if settings.CORS_ALLOWED_ORIGINS:
        origin = dict(scope["headers"]).get(b"origin", b"").decode("latin-1")
        cors.allow(origin, response, preflight=scope["method"] == "OPTIONS")
    return response


@lru_cache(maxsize=256)
def _resolved(path: str) -> ResolverMatch:
    """The view of a path. Raises Resolver404."""
    return get_resolver(URLCONF).resolve(path)


async def _body(scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises BodyTooLarge, InvalidRequest, ClientGone."""
    try:
        async with asyncio.timeout(settings.LLM_HEADER_TIMEOUT_S):
            return await _parts(receive, settings.LLM_MAX_BODY_BYTES)
    except TimeoutError as error:
        raise InvalidRequest(
            "The body did not arrive in time.",
            code="request_timeout",
            # The rest of it may still come, and is no request.
            headers={"Connection": "close"},
        ) from error


async def _parts(receive: Receive, most: int) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            raise BodyTooLarge(f"The body may have at most {most} bytes.")
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _start(response: HttpResponseBase) -> dict[str, Any]:
    return {
        "type": "http.response.start",
        "status": response.status_code,
        "headers": _encoded(response.items()),
    }


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]


async def _send_whole(response: HttpResponseBase, send: Send) -> None:
    body = response.content if isinstance(response, HttpResponse) else b""
    if response.status_code not in BODILESS:
        response["Content-Length"] = str(len(body))
    await send(_start(response))
    await send({"type": "http.response.body", "body": body})


async def _send_stream(response: EventStream, watch: Watch, send: Send) -> None:
    """Relay the parts; a client that leaves ends the stream at once."""
    parts, last = response.parts, b""
    watch.unless = parts.carry_on
    watch.start()
    try:
        await send(_start(response))
        async for part in parts:
            if parts.over:
                last = part
                break
            await send({"type": "http.response.body", "body": part, "more_body": True})
    finally:
        # Before the end is sent: servers report that as a disconnect too.
        watch.stop()
        await parts.aclose()
    await send({"type": "http.response.body", "body": last, "more_body": False})
