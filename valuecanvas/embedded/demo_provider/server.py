"""The demo provider's server: its routes, and running it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial

import orjson
from aiohttp import web
from uvicorn.loops.auto import auto_loop_factory

from valuecanvas.embedded.demo_provider.behaviour import find_behaviour
from valuecanvas.embedded.demo_provider.chat import CREATED, answer_chat
from valuecanvas.embedded.demo_provider.embeddings import answer_embeddings
from valuecanvas.embedded.demo_provider.errors import RequestRefused, error_body
from valuecanvas.embedded.demo_provider.reply import DONE, JSON, DemoReply

# It needs no key, so it listens on loopback only.
_HOST = "127.0.0.1"
_BACKLOG = 1024
_STOP_SECONDS = 1.0
_MOST_BODY_BYTES = 64_000_000
_MODELS = ("demo", "demo-embedding")
_EVENTS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class DemoProvider:
    """The handlers of one server; a provider with other behaviours extends it."""

    def application(self) -> web.Application:
        """The routes, with errors as OpenAI writes them."""
        app = web.Application(
            client_max_size=_MOST_BODY_BYTES, middlewares=[_openai_errors]
        )
        app.add_routes(self.routes())
        return app

    def routes(self) -> list[web.RouteDef]:
        """What the server answers."""
        return [
            web.post("/v1/chat/completions", partial(self.answer, answer_chat)),
            web.post("/v1/embeddings", partial(self.answer, answer_embeddings)),
            web.get("/v1/models", self.models),
        ]

    async def answer(
        self, endpoint: Callable[[bytes], DemoReply], request: web.Request
    ) -> web.StreamResponse:
        """Answers by `endpoint`, as the model's name says."""
        body = await request.read()
        reply = endpoint(body)
        behaviour = find_behaviour(reply.model)
        await asyncio.sleep(behaviour.delay_of(body))
        if behaviour.status:
            return json_response(error_body(behaviour.status), behaviour.status)
        if reply.events is None:
            return json_response(reply.body)
        return await _send_events(request, reply.events, behaviour.pause)

    async def models(self, request: web.Request) -> web.Response:
        """GET /v1/models: the models that the seeds route to."""
        fields = {"object": "model", "created": CREATED, "owned_by": "valuecanvas-demo"}
        models = [{"id": name, **fields} for name in _MODELS]
        return json_response(orjson.dumps({"object": "list", "data": models}))


def json_response(body: bytes, status: int = 200) -> web.Response:
    """A response of JSON."""
    return web.Response(status=status, body=body, headers=JSON)


@web.middleware
async def _openai_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RequestRefused as refusal:
        return json_response(refusal.body, refusal.status)
    except web.HTTPException as error:  # an unknown URL, too large a body
        message = f"{error.reason}: {request.method} {request.path}"
        return json_response(error_body(error.status, message=message), error.status)


async def _send_events(
    request: web.Request, events: Iterable[bytes], pause: float
) -> web.StreamResponse:
    """Streams the events until the client leaves."""
    response = web.StreamResponse(headers=_EVENTS)
    with suppress(ConnectionError):
        await response.prepare(request)
        for event in events:
            await response.write(event)
            await asyncio.sleep(pause)
        await response.write(DONE)
    return response


def serve(provider: DemoProvider, port: int, announce: Callable[[str], object]) -> None:
    """Serves until SIGINT or SIGTERM; `announce` gets the line with the URL.

    Port 0 takes any free port. Raises OSError if the port is taken.
    """
    listener = socket.create_server((_HOST, port), backlog=_BACKLOG)
    announce(
        f"demo provider listening on http://{_HOST}:{listener.getsockname()[1]}/v1"
    )
    web.run_app(
        provider.application(),
        sock=listener,
        backlog=_BACKLOG,
        access_log=None,
        print=None,
        handler_cancellation=True,  # a disconnect must be noticed at once
        shutdown_timeout=_STOP_SECONDS,
        loop=auto_loop_factory()(),
    )
