"""The lean path of the gateway: no middleware, no thread hop, no signals.

Django's own handler starts two threads for each request; this one reads the body,
resolves the URL, awaits the view and sends what it returns.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from io import BytesIO
from typing import Any

import structlog
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, get_resolver

from llm.responses import EventStream, error_response
from llm.types import Parts
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
log = structlog.get_logger("hot")


class ClientGone(Exception):
    """The client closed its connection."""


async def handle(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one request of the hot path."""
    try:
        response = await _respond(scope, receive)
    except ClientGone:
        return
    if isinstance(response, EventStream):
        await _send_stream(response, receive, send)
    else:
        await _send_whole(response, send)


async def _respond(scope: Scope, receive: Receive) -> HttpResponseBase:
    request_id = uuid7()
    scope["valuecanvas.request_id"] = request_id
    try:
        body = await _body(scope, receive)
        request = ASGIRequest(scope, BytesIO(body))
        request._body = body  # spares Django a second copy
        match = get_resolver(URLCONF).resolve(request.path_info)
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


async def _body(scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises BodyTooLarge, InvalidRequest, ClientGone."""
    most = settings.LLM_MAX_BODY_BYTES
    message = await _next(receive)
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return _sized(body, most)
    parts, size = [body], len(body)
    async with asyncio.timeout(settings.LLM_HEADER_TIMEOUT_S):
        while message.get("more_body"):
            message = await _next(receive)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > most:
                break
    return _sized(b"".join(parts), most)


def _sized(body: bytes, most: int) -> bytes:
    if len(body) > most:
        raise BodyTooLarge(f"The body may have at most {most} bytes.")
    return body


async def _next(receive: Receive) -> dict[str, Any]:
    try:
        message = await receive()
    except TimeoutError as error:
        raise InvalidRequest("The body did not arrive in time.") from error
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message


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
    response["Content-Length"] = str(len(body))
    await send(_start(response))
    await send({"type": "http.response.body", "body": body})


async def _send_stream(response: EventStream, receive: Receive, send: Send) -> None:
    """Relay the parts; a client that leaves ends the stream at once."""
    task = asyncio.current_task()
    gone = asyncio.create_task(_disconnected(receive))
    gone.add_done_callback(lambda done: _left(done, task, response.parts))
    try:
        await send(_start(response))
        async for part in response.parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    except asyncio.CancelledError:
        await response.parts.aclose()
        if not gone.done():
            raise
    finally:
        gone.cancel()
        await response.parts.aclose()
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _left(
    gone: "asyncio.Task[None]", task: "asyncio.Task[None] | None", parts: Parts
) -> None:
    """End the stream of a client that left, unless others wait for it."""
    if not gone.cancelled() and task is not None and not parts.carry_on():
        task.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
