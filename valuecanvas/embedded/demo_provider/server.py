"""The demo provider's server: its routes, starting and stopping it."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import orjson
from aiohttp import web
from uvicorn.loops.auto import auto_loop_factory

from valuecanvas.embedded.demo_provider.behaviours import Behaviour, Overrides
from valuecanvas.embedded.demo_provider.chat import CREATED, answer_chat
from valuecanvas.embedded.demo_provider.connection import Connection
from valuecanvas.embedded.demo_provider.delivery import deliver
from valuecanvas.embedded.demo_provider.embeddings import answer_embeddings
from valuecanvas.embedded.demo_provider.payload import (
    JSON,
    Reply,
    RequestRefused,
    error_body,
)
from valuecanvas.embedded.demo_provider.responses import answer_responses
from valuecanvas.embedded.demo_provider.send_log import Calls

# The caller's id of an attempt, under which the send log has it.
_ATTEMPT_HEADER = "x-valuecanvas-attempt"
_MOST_BODY_BYTES = 64_000_000
_MODELS = ("demo", "demo-embedding")
# A key that begins so is refused everywhere, as one that was taken back.
_REVOKED = "Bearer revoked"
# Anyone who reaches it may use it, so nobody else's machine can.
_HOST = "127.0.0.1"
_STOP_SECONDS = 1.0

Endpoint = Callable[[bytes, Overrides], tuple[Reply, Behaviour]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Options:
    """Where to listen and what to record."""

    port: int = 0
    send_log: Path | None = None
    control: bool = False
    exit_with_stdin: bool = False


class _Provider:
    """The handlers of one server, and what they remember."""

    def __init__(self, send_log: Path | None) -> None:
        self.overrides = Overrides()
        self.calls = Calls(send_log)

    def handler(self, endpoint: Endpoint) -> Handler:
        """Reads a request by `endpoint` and delivers its answer."""

        async def handle(request: web.Request) -> web.StreamResponse:
            reply, behaviour = endpoint(await request.read(), self.overrides)
            if _is_revoked(request):
                behaviour = Behaviour(status=401)
            attempt = request.headers.get(_ATTEMPT_HEADER)
            call = self.calls.begin(reply, endpoint=request.path, attempt=attempt)
            connection = Connection(request, call)
            try:
                await deliver(connection, reply.payload, behaviour)
            except asyncio.CancelledError:
                call.outcome = "client_gone"  # or the server is being stopped
                raise
            except ConnectionError:
                call.outcome = "client_gone"
            finally:
                call.end()
            return connection.response

        return handle

    async def override(self, request: web.Request) -> web.Response:
        """POST /_control: makes a model behave as named."""
        try:
            body = orjson.loads(await request.read())
            self.overrides.override(body["model"], body["behaviour"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"Not a model and a behaviour: {error}"
            raise RequestRefused(message) from error
        return _json({})

    async def reset(self, request: web.Request) -> web.Response:
        """DELETE /_control: lets a model behave as its own name says."""
        self.overrides.reset(request.query["model"])
        return _json({})

    async def stats(self, _: web.Request) -> web.Response:
        """GET /_stats: how many calls of each model came and are in flight."""
        return _json(self.calls.by_model)


def _application(options: Options) -> web.Application:
    """The routes; `control` adds those by which drills steer the server."""
    provider = _Provider(options.send_log)
    app = web.Application(client_max_size=_MOST_BODY_BYTES, middlewares=[_refusals])
    router = app.router
    if options.control:
        router.add_post("/_control", provider.override)
        router.add_delete("/_control", provider.reset)
        router.add_get("/_stats", provider.stats)
    router.add_post("/v1/chat/completions", provider.handler(answer_chat))
    router.add_post("/v1/embeddings", provider.handler(answer_embeddings))
    router.add_post("/v1/responses", provider.handler(answer_responses))
    router.add_get("/v1/models", _models)
    return app


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns errors into the OpenAI body: ours, and aiohttp's such as 404 and 413."""
    try:
        return await handler(request)
    except RequestRefused as refusal:
        return web.Response(status=refusal.status, body=refusal.body, headers=JSON)
    except web.HTTPException as error:
        message = f"{error.reason}: {request.method} {request.path}"
        body = error_body(error.status, message=message)
        return web.Response(status=error.status, body=body, headers=JSON)


def _is_revoked(request: web.Request) -> bool:
    return request.headers.get("Authorization", "").startswith(_REVOKED)


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), headers=JSON)


async def _models(request: web.Request) -> web.Response:
    if _is_revoked(request):
        raise RequestRefused("Incorrect API key provided.", status=401)
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
        handler_cancellation=True,  # a client that leaves must be noticed at once
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
    """Stops the server once whoever started it is gone, by whatever death."""
    if not os.read(sys.stdin.fileno(), 4096):
        stop.set()
