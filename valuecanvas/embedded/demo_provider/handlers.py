"""The demo provider's routes and their handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from valuecanvas.embedded.demo_provider import behaviours, chat, embeddings, responses
from valuecanvas.embedded.demo_provider.behaviours import Behaviour, UnknownBehaviour
from valuecanvas.embedded.demo_provider.connection import Link
from valuecanvas.embedded.demo_provider.delivery import JSON, deliver
from valuecanvas.embedded.demo_provider.errors import RequestRefused
from valuecanvas.embedded.demo_provider.payload import Order, Whole
from valuecanvas.embedded.demo_provider.state import ANY_MODEL, Desk

# The caller's id of an attempt, under which the referee files it.
ATTEMPT_HEADER = "x-valuecanvas-attempt"
_DESK = web.AppKey("desk", Desk)
_MOST_BODY_BYTES = 64_000_000
_OWN_MODELS = ("demo", "demo-embedding")
# A key that begins so is refused everywhere, as one that was taken back.
REVOKED = "revoked"

Taker = Callable[[bytes, Desk], tuple[Order, Behaviour]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(*, desk: Desk, control: bool = False) -> web.Application:
    """The server's routes; `control` adds the drill endpoints and lists all models."""
    app = web.Application(client_max_size=_MOST_BODY_BYTES)
    app[_DESK] = desk
    app.on_shutdown.append(_close)
    names: tuple[str, ...] = _OWN_MODELS
    if control:
        names += tuple(row.example for row in behaviours.TABLE[1:])
        app.router.add_get("/_control", _overrides)
        app.router.add_post("/_control", _override)
        app.router.add_delete("/_control", _reset)
        app.router.add_get("/_stats", _stats)
    app.router.add_post("/v1/chat/completions", _taking(chat.take))
    app.router.add_post("/v1/embeddings", _taking(embeddings.take))
    app.router.add_post("/v1/responses", _taking(responses.take))
    app.router.add_get("/v1/models", _taking(_listing(names)))
    app.router.add_get("/v1/models/{model:.+}", _model)
    app.router.add_route("*", "/{path:.*}", _nothing)
    return app


def _taking(take: Taker) -> Handler:
    """The handler that reads a request by `take` and delivers the answer."""

    async def handle(request: web.Request) -> web.StreamResponse:
        desk = request.app[_DESK]
        try:
            order, behaviour = take(await _body(request), desk)
        except RequestRefused as refusal:
            return _refused(refusal)
        if request.headers.get("Authorization", "").startswith(f"Bearer {REVOKED}"):
            behaviour = Behaviour(status=401)
        visit = desk.enter(
            order, endpoint=request.path, attempt=request.headers.get(ATTEMPT_HEADER)
        )
        link = Link(request, visit)
        try:
            await deliver(link, order, behaviour)
        except asyncio.CancelledError:
            visit.how = "shutdown" if desk.closing else "client_gone"
            raise
        except ConnectionError:
            visit.how = "client_gone"
        finally:
            visit.end()
        return link.response

    return handle


async def _close(app: web.Application) -> None:
    """From here on, a call that is cut off was cut off by us."""
    app[_DESK].closing = True


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise RequestRefused("The body is too large.", status=413) from error


def _refused(refusal: RequestRefused) -> web.Response:
    return web.Response(status=refusal.status, body=refusal.body, headers=JSON)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), headers=JSON)


def _listing(names: tuple[str, ...]) -> Taker:
    """GET /v1/models; an override of any model (`*`) applies here too."""

    def take(_raw: bytes, desk: Desk) -> tuple[Order, Behaviour]:
        models = [_model_object(name) for name in names]
        body = orjson.dumps({"object": "list", "data": models})
        behaviour = desk.behaviour("demo")
        parcel = Whole(body, 0, None)
        return Order("(models)", 0, parcel, refereed=False), behaviour

    return take


def _model_object(name: str) -> dict[str, object]:
    return {
        "id": name,
        "object": "model",
        "created": chat.CREATED,
        "owned_by": "valuecanvas-demo",
    }


async def _model(request: web.Request) -> web.Response:
    name = request.match_info["model"]
    try:
        behaviours.parse(name)
    except UnknownBehaviour as error:
        return _refused(RequestRefused(str(error), status=404, param="model"))
    return _json(_model_object(name))


async def _nothing(request: web.Request) -> web.Response:
    message = f"Unknown request URL: {request.method} {request.path}."
    return _refused(RequestRefused(message, status=404))


async def _overrides(request: web.Request) -> web.Response:
    return _json(request.app[_DESK].overrides)


async def _override(request: web.Request) -> web.Response:
    try:
        body = orjson.loads(await request.read())
        request.app[_DESK].override(body.get("model", ANY_MODEL), body["behaviour"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return _refused(RequestRefused(f"Not a model and a behaviour: {error}"))
    return _json(request.app[_DESK].overrides)


async def _reset(request: web.Request) -> web.Response:
    request.app[_DESK].reset(request.query.get("model"))
    return _json(request.app[_DESK].overrides)


async def _stats(request: web.Request) -> web.Response:
    return _json(request.app[_DESK].stats())
