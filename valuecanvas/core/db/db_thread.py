"""A thread with its own Django connection, for queries off the event loop."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from django.db import close_old_connections, connections

from valuecanvas.core.postgresql.session_end import has_ended

P = ParamSpec("P")
T = TypeVar("T")
Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class DbThread:
    """Runs ORM code in order, off the event loop, on one persistent connection.

    Not an executor: those refuse work once the interpreter is shutting down, when a
    command may still have rows to write.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="orm", daemon=True)
        self._thread.start()

    async def run(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """`function(*args)` in the thread. Raises what it raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put((lambda: function(*args, **kwargs), loop, future))
        return await future

    def close(self, timeout_s: float = 5.0) -> None:
        """End the thread once its work is done, and its connection."""
        self._jobs.put(None)
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, loop, future = job
            result: Any = None
            error: BaseException | None = None
            try:
                _keep()
                _close_ended()
                close_old_connections()
                result = call()
            except BaseException as caught:  # noqa: BLE001 - passed on to the caller
                error = caught
            # A closed loop: the process is ending and nobody waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_deliver, future, result, error)
        connections.close_all()


def _keep() -> None:
    """The settings close a connection after each request; this thread's is kept."""
    for connection in connections.all(initialized_only=True):
        connection.close_at = None


def _close_ended() -> None:
    """A session that the server ended is opened again by the next query."""
    for connection in connections.all(initialized_only=True):
        session = connection.connection
        if session is not None and has_ended(session):
            connection.close()


def _deliver(
    future: "asyncio.Future[Any]", result: Any, error: BaseException | None
) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
