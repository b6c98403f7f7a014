"""Tracks who waits for which item of the group commit, and delivers the answers."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import structlog

from valuecanvas.core.db.commit_retries import Waiting

Item = TypeVar("Item")
log = structlog.get_logger("core.batch")


class Answers(Generic[Item]):
    """All items without an answer. `on_abandoned` gets those whose waiter was cancelled."""

    def __init__(self, on_abandoned: Callable[[Waiting[Item]], None]) -> None:
        self._open: dict[Waiting[Item], None] = {}
        self._on_abandoned = on_abandoned
        # Bytes of all waiting items; several threads change it.
        self.weight = 0
        self._lock = threading.Lock()

    def __contains__(self, waiting: Waiting[Item]) -> bool:
        return waiting in self._open

    def __len__(self) -> int:
        return len(self._open)

    def all(self) -> list[Waiting[Item]]:
        return list(self._open)

    def expect(
        self, item: Item, future: asyncio.Future[Any], weight: int = 0
    ) -> Waiting[Item]:
        """Register `future` for the answer to `item` of so many bytes."""
        waiting = Waiting(item, future, time.monotonic(), weight=weight)
        self._open[waiting] = None
        self._weigh(weight)
        return waiting

    def _close(self, waiting: Waiting[Item]) -> None:
        if self._open.pop(waiting, self) is None:
            self._weigh(-waiting.weight)

    def _weigh(self, more: int) -> None:
        if more:
            with self._lock:
                self.weight += more

    def give(self, answers: Iterable[tuple[Waiting[Item], object]]) -> None:
        """Deliver the answers to their event loops, with one wake-up per loop."""
        by_loop: dict[
            asyncio.AbstractEventLoop, list[tuple[Waiting[Item], object]]
        ] = {}
        for waiting, answer in answers:
            self._close(waiting)
            by_loop.setdefault(waiting.future.get_loop(), []).append((waiting, answer))
        for loop, pairs in by_loop.items():
            try:
                loop.call_soon_threadsafe(self._deliver, pairs)
            except RuntimeError:
                # The loop is closed: the process is ending and nobody waits.
                log.info("batch.loop_closed", answers=len(pairs))

    def _deliver(self, pairs: list[tuple[Waiting[Item], object]]) -> None:
        for waiting, answer in pairs:
            if waiting.future.done():
                if waiting.future.cancelled():
                    self._on_abandoned(waiting)
            elif isinstance(answer, BaseException):
                waiting.future.set_exception(answer)
            else:
                waiting.future.set_result(answer)
