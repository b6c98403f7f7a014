"""The gateway with one guard taken off, named by UNGUARDED: the twins of the races.

uvicorn tests.faults.unguarded:application
"""

import os
import threading
import time
from collections.abc import Callable, Sequence

import psycopg

from valuecanvas.asgi import application

# The application must be there before its modules are changed.
from billing.ledger import ledger  # isort: skip
from billing.ledger.types import Admit, Answer, Item  # isort: skip
from llm.live_stream import LiveStream  # isort: skip
from tests.races.rounds import Careless  # isort: skip
from valuecanvas import hot  # isort: skip


class _Pause(threading.Barrier):
    """Instead of meeting another clerk: long enough for one to come in between."""

    def wait(self, timeout: float | None = None) -> int:
        time.sleep(0.05)
        return 0


class _Hasty(Careless):
    """Checks the counters in one transaction and takes from them in another."""

    meeting = _Pause(1)

    def commit(
        self, connection: psycopg.Connection, items: Sequence[Item]
    ) -> list[Answer]:
        admits = any(isinstance(item, Admit) for item in items)
        commit = super().commit if admits else super(Careless, self).commit
        return commit(connection, items)


async def _unsettled(stream: LiveStream) -> None:
    """The stream is closed, and what it used is forgotten."""
    await stream._flow.stack.aclose()


def _no_lock() -> None:
    ledger.Clerk = _Hasty  # type: ignore[misc]


def _no_watch() -> None:
    """Nobody notices that the client has gone."""
    hot.Watch.start = lambda watch: None  # type: ignore[method-assign, assignment]


def _no_settlement() -> None:
    LiveStream._gone = _unsettled  # type: ignore[method-assign, assignment]


GUARDS: dict[str, Callable[[], None]] = {
    "lock": _no_lock,
    "watch": _no_watch,
    "settlement": _no_settlement,
}
GUARDS[os.environ["UNGUARDED"]]()

__all__ = ["application"]
