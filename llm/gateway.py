"""The gateway for Python code: the same pipeline and the same bill as over HTTP.

from llm.gateway import complete        # in coroutines
from llm.gateway import complete_sync   # in jobs, commands, the admin, the shell
"""

import asyncio
import atexit
import concurrent.futures
import os
import threading
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from django.apps import apps

from billing.models import Customer
from llm import runtime
from llm.replies.completion import Completion, read_completion
from llm.runtime import Runtime
from llm.types import Call, Reply
from valuecanvas.core.errors import InvalidRequest
from valuecanvas.core.ids import uuid7
from valuecanvas.core.telemetry import traces
from valuecanvas.core.telemetry.request_context import RequestContext
from valuecanvas.core.telemetry.traces import Kind

T = TypeVar("T")
Messages = Sequence[Mapping[str, Any]]


class GatewayThread:
    """An event loop in a thread of its own, with a runtime, started when first used.

    Coroutines of any loop and plain threads use it the same way, so neither blocks the
    other. After a fork it starts again: threads do not survive one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._runtime: Runtime | None = None
        # Two first calls at once must not start two runtimes.
        self._starting = asyncio.Lock()
        self._pid = 0

    def submit(self, work: Coroutine[Any, Any, T]) -> "concurrent.futures.Future[T]":
        """Run `work` on the loop of the thread."""
        return asyncio.run_coroutine_threadsafe(work, self._start())

    async def runtime(self) -> Runtime:
        """The runtime of the thread; call on its loop."""
        async with self._starting:
            if self._runtime is None:
                self._runtime = await runtime.start()
            return self._runtime

    def close(self) -> None:
        """Settle what is queued and end the thread."""
        with self._lock:
            loop, self._loop = self._loop, None
            if loop is None or self._pid != os.getpid():
                return
            if self._runtime is not None:
                stop = asyncio.run_coroutine_threadsafe(self._runtime.stop(), loop)
                stop.result(timeout=10)
                self._runtime = None
            loop.call_soon_threadsafe(loop.stop)
            if self._thread is not None:
                self._thread.join(timeout=10)
            loop.close()

    def _start(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._runtime, self._pid = None, os.getpid()
                self._starting = asyncio.Lock()
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="gateway", daemon=True
                )
                self._thread.start()
                atexit.register(self.close)
            return self._loop


def gateway_thread() -> GatewayThread:
    """The process's gateway thread; the app's configuration owns it."""
    # Typed as any app's configuration, which has no thread.
    found: GatewayThread = apps.get_app_config("llm").gateway_thread  # type: ignore[attr-defined]
    return found


async def complete(
    *,
    messages: Messages = (),
    model: str = "",
    customer: Customer,
    parameters: Mapping[str, Any] | None = None,
    prompt: Mapping[str, Any] | None = None,
) -> Completion:
    """Answer `messages` for `customer`, after those of a stored `prompt` if one is
    named: {"id", "version" or "label", "variables"}. Raises GatewayError.
    """
    body = _body(messages, model, parameters, prompt)
    return await asyncio.wrap_future(_submit(body, customer))


def complete_sync(
    *,
    messages: Messages = (),
    model: str = "",
    customer: Customer,
    parameters: Mapping[str, Any] | None = None,
    prompt: Mapping[str, Any] | None = None,
) -> Completion:
    """`complete` for code that is not a coroutine. Raises GatewayError."""
    body = _body(messages, model, parameters, prompt)
    return _submit(body, customer).result()


def _submit(
    body: dict[str, Any], customer: Customer
) -> "concurrent.futures.Future[Completion]":
    work = _complete(body, customer.user_id, team=customer.team_id or "")
    return gateway_thread().submit(work)


def _body(
    messages: Messages,
    model: str,
    parameters: Mapping[str, Any] | None,
    prompt: Mapping[str, Any] | None,
) -> dict[str, Any]:
    body = {
        **(parameters or {}),
        "model": model,
        "messages": [dict(message) for message in messages],
    }
    return body if prompt is None else {**body, "prompt": dict(prompt)}


async def _complete(body: dict[str, Any], user_id: str, *, team: str) -> Completion:
    if body.get("stream"):
        raise InvalidRequest("Streaming is not supported here.", param="stream")
    gateway = await gateway_thread().runtime()
    request_id = uuid7()
    with (
        RequestContext("chat", {"request_id": str(request_id)}) as done,
        traces.start("complete", Kind.INTERNAL, request_id.int),
    ):
        call = Call(
            id=request_id,
            endpoint="chat",
            body=body,
            identify=lambda callers: callers.load_user(user_id, team=team),
            trace_id=traces.current_trace_id(),
        )
        reply = await gateway.pipeline.run(call)
        done.status = 200
    if not isinstance(reply, Reply):
        raise TypeError("A request without 'stream' is answered whole.")
    return read_completion(reply)
