"""The gateway with one guard taken off, named by UNGUARDED: the twins of the races.

uvicorn tests.faults.unguarded:application
"""

import os
import threading
import time
from collections.abc import Callable, Sequence

import psycopg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.faults import inside
from tests.faults.inside import application

# The application must be there before its modules are changed.
from billing.ledger import ledger  # isort: skip
from billing.ledger.types import Admit, Answer, Item  # isort: skip
from llm.request import idempotency

from llm.cache import entry, key  # isort: skip
from llm.cache.secret import secret  # isort: skip
from llm.coalesce.shared_calls import SharedCalls  # isort: skip
from llm.live_stream import LiveStream  # isort: skip
from tests.faults.leaks import LEAKS  # isort: skip
from tests.races.rounds import Careless  # isort: skip
from valuecanvas.http import hot


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
    stream._stream.close()


def _no_lock() -> None:
    ledger.BatchWriter = _Hasty  # type: ignore[misc]


def _no_watch() -> None:
    """Nobody notices that the client has gone."""
    hot.ClientWatch.start = lambda watch: None  # type: ignore[method-assign, assignment]


def _no_settlement() -> None:
    LiveStream._close = _unsettled  # type: ignore[method-assign, assignment]


def _no_claim() -> None:
    """An Idempotency-Key is not looked at."""
    idempotency.claim = lambda *asked: None


def _no_sharing() -> None:
    """Nothing checks whether the same call is under way or stored."""

    async def alone(calls: SharedCalls, place: object, wanted: object) -> object:
        return None, None, False

    SharedCalls.find_or_lead = alone  # type: ignore[method-assign, assignment]


def _no_place() -> None:
    """What is found in Redis is believed, wherever it lies: all places share a key."""
    # The name under which it was imported there.
    entry.answer_cipher = lambda tenant, key: AESGCM(secret())  # type: ignore[attr-defined]


def _no_tenant() -> None:
    """All customers share what is stored."""
    key.tenant = lambda plan: "g:"


def _leaks() -> None:
    """Whoever asks for it leaves something behind."""
    inside.doors |= {f"/_leak/{what}": leak for what, leak in LEAKS.items()}


GUARDS: dict[str, Callable[[], None]] = {
    "lock": _no_lock,
    "watch": _no_watch,
    "settlement": _no_settlement,
    "claim": _no_claim,
    "shared_calls": _no_sharing,
    "place": _no_place,
    "tenant": _no_tenant,
    "leaks": _leaks,
}
GUARDS[os.environ["UNGUARDED"]]()

__all__ = ["application"]
