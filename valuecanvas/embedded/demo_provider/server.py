"""The demo provider's server: its routes, starting and stopping it."""

import asyncio
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path

import orjson
from aiohttp import web
from uvicorn.loops.auto import auto_loop_factory

from valuecanvas.embedded.demo_provider.behaviours import Behaviour, Overrides
from valuecanvas.embedded.demo_provider.chat import CREATED, answer_chat
from valuecanvas.embedded.demo_provider.client_connection import Connection
from valuecanvas.embedded.demo_provider.delivery import deliver
from valuecanvas.embedded.demo_provider.embeddings import answer_embeddings
from valuecanvas.embedded.demo_provider.errors import RequestRefused, error_body
from valuecanvas.embedded.demo_provider.payload import JSON, DemoReply, Stream
from valuecanvas.embedded.demo_provider.responses import answer_responses
from valuecanvas.embedded.demo_provider.send_log import Counts, LoggedCall

# The caller's id of an attempt, which the send log uses.
_ATTEMPT_HEADER = "x-valuecanvas-attempt"
_MOST_BODY_BYTES = 64_000_000
_MODELS = ("demo", "demo-embedding")
# Keys with this prefix are refused as revoked.
_REVOKED = "Bearer revoked"
_REFUSAL = Behaviour(status=401)
# It needs no key, so it listens on loopback only.
_HOST = "127.0.0.1"
_STOP_SECONDS = 1.0

Endpoint = Callable[[bytes, Overrides], DemoReply]

_ENDPOINTS: dict[str, Endpoint] = {
    "/v1/chat/completions": answer_chat,
    "/v1/embeddings": answer_embeddings,
    "/v1/responses": answer_responses,
}


@dataclass(frozen=True, slots=True)
class Options:
    """Where to listen and what to record."""

    port: int = 0
    send_log: Path | None = None
    control: bool = False
    exit_with_stdin: bool = False


class _Provider:
    """The handlers and the state of one server."""

    def __init__(self, send_log: Path | None) -> None:
        self.overrides = Overrides()
        self.counts: dict[str, Counts] = defaultdict(Counts)
        self.send_log = send_log
        if send_log is not None:
            send_log.mkdir(parents=True, exist_ok=True)

    async def answer(
        self, endpoint: Endpoint, request: web.Request
    ) -> web.StreamResponse:
        """Reads a request by `endpoint` and sends its answer."""
        try:
            reply = endpoint(await request.read(), self.overrides)
        except RequestRefused as refusal:
            return _refused(request, refusal.status, refusal.body)
        except web.HTTPRequestEntityTooLarge as error:
            return _refused(request, error.status)
        start = {
            "attempt": request.headers.get(_ATTEMPT_HEADER),
            "endpoint": request.path,
            "model": reply.model,
            "stream": isinstance(reply.payload, Stream),
            "prompt_tokens": reply.prompt_tokens,
        }
        call = LoggedCall(self.counts[reply.model], self.send_log, start)
        connection = Connection(request, call)
        try:
            behaviour = _REFUSAL if _is_revoked(request) else reply.behaviour
            await deliver(connection, reply.payload, behaviour)
        except asyncio.CancelledError:
            call.outcome = "client_gone"  # or the server is being stopped
            raise
        except ConnectionError:
            call.outcome = "client_gone"
        finally:
            call.end()
        return connection.response

    async def override(self, request: web.Request) -> web.Response:
        """POST /_control: makes a model behave as named."""
        try:
            body = orjson.loads(await request.read())
            self.overrides.override(body["model"], body["behaviour"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"Not a model and a behaviour: {error}"
            return _refused(request, 400, error_body(400, message=message))
        return _json({})

    async def stats(self, _: web.Request) -> web.Response:
        """GET /_stats: how many calls of each model there were, and are in flight."""
        return _json(self.counts)


def _application(options: Options) -> web.Application:
    """The routes; `control` adds those with which tests control the server."""
    provider = _Provider(options.send_log)
    app = web.Application(client_max_size=_MOST_BODY_BYTES)
    router = app.router
    if options.control:
        router.add_post("/_control", provider.override)
        router.add_get("/_stats", provider.stats)
    for path, endpoint in _ENDPOINTS.items():
        router.add_post(path, partial(provider.answer, endpoint))
    router.add_get("/v1/models", _models)
    router.add_route("*", "/{path:.*}", _not_found)
    return app


def _refused(request: web.Request, status: int, body: bytes = b"") -> web.Response:
    """An error as the OpenAI body; by default it names the request."""
    message = f"{HTTPStatus(status).phrase}: {request.method} {request.path}"
    body = body or error_body(status, message=message)
    return web.Response(status=status, body=body, headers=JSON)


async def _not_found(request: web.Request) -> web.Response:
    return _refused(request, 404)


def _is_revoked(request: web.Request) -> bool:
    return request.headers.get("Authorization", "").startswith(_REVOKED)


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), headers=JSON)


async def _models(request: web.Request) -> web.Response:
    if _is_revoked(request):
        return _refused(request, 401)
    fields = {"object": "model", "created": CREATED, "owned_by": "valuecanvas-demo"}
    models = [{"id": name, **fields} for name in _MODELS]
    return _json({"object": "list", "data": models})


async def start(options: Options) -> tuple[web.AppRunner, int]:
    """Starts a server in the running loop; returns its runner and its port.

    Raises OSError if the port is taken. Stop it by `await runner.cleanup()`.
    """
    runner = web.AppRunner(
        _application(options),
        access_log=None,
        handler_cancellation=True,  # a disconnect must be noticed at once
        shutdown_timeout=_STOP_SECONDS,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, _HOST, options.port, backlog=1024).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner, runner.addresses[0][1]


def serve(options: Options, announce: Callable[[str], None]) -> None:
    """Runs a server until SIGINT or SIGTERM; `announce` gets the line with its URL."""
    with asyncio.Runner(loop_factory=auto_loop_factory()) as loop:
        loop.run(_serve(options, announce))


async def _serve(options: Options, announce: Callable[[str], None]) -> None:
    runner, port = await start(options)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if options.exit_with_stdin:
        loop.add_reader(sys.stdin.fileno(), _read_stdin, stop)
    announce(f"demo provider listening on http://{_HOST}:{port}/v1")
    try:
        await stop.wait()
    finally:
        await runner.cleanup()


def _read_stdin(stop: asyncio.Event) -> None:
    """Stops the server when its parent has ended, in any way."""
    if not os.read(sys.stdin.fileno(), 4096):
        stop.set()
