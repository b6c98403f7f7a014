"""Group commit: one thread, one connection and one queue for a process's small writes.

Whatever has queued up while the last transaction ran goes into the next one, so the
cost of a write falls as load rises and connections stay at one a process.
"""

import asyncio
import math
import queue
import threading
import time
from contextlib import suppress
from typing import Any, Generic, TypeVar

import structlog

from valuecanvas.core.db import sqlstate
from valuecanvas.core.db.commit_answers import Answers
from valuecanvas.core.db.commit_connection import CommitConnection, Unreached
from valuecanvas.core.db.commit_policy import BatchUnavailable, Policy
from valuecanvas.core.db.commit_retries import CommitRetries, Waiting, backoff
from valuecanvas.core.db.row_reduction import Reduction
from valuecanvas.core.metrics import BATCH_FAILED, BATCH_REDUCED, BATCH_THREADS

__all__ = ["BatchUnavailable", "GroupCommit", "Policy"]

Item = TypeVar("Item")
log = structlog.get_logger("core.batch")

# After a batch of so many items the next one waits a moment for company: a transaction
# for a few costs nearly what one for many does. Who comes alone never waits.
BUSY = 4
LINGER_S = 0.001
# An item that failed so often alone, while the database takes writes, is itself to blame.
ALONE = 2


class GroupCommit(Generic[Item]):
    """The queue and its thread. `submit` from an event loop, `close` at the end."""

    def __init__(self, policy: Policy[Item]) -> None:
        self._policy = policy
        self._queue: queue.SimpleQueue[Waiting[Item] | None] = queue.SimpleQueue()
        # Taken from the queue, and too heavy for the batch that was being filled.
        self._next: Waiting[Item] | None = None
        # Has all that waits, wherever it does: it outlives the thread.
        self._answers: Answers[Item] = Answers(self._orphaned)
        self._reduction = Reduction(policy)
        # Halves of a batch that one of its items broke.
        self._halves: list[list[Waiting[Item]]] = []
        # Go first: whoever was refused may ask again at once.
        self._undos: list[Waiting[Item]] = []
        self._retries = CommitRetries(policy.size, policy.max_bytes, policy.weigh)
        self._retried = False
        self._closing = False
        self._give_up_at = math.inf
        self._failures = 0
        # Does the database refuse to write what must land?
        self._refusing = False
        # The batch that is being committed.
        self._batch: list[Waiting[Item]] = []
        self._connection = CommitConnection(policy)
        self._start()

    def submit(self, item: Item) -> asyncio.Future[Any]:
        """Queue `item`; the future has the work's answer or raises its error.

        Raises BatchUnavailable at once if the queue is full or closing, except for
        items that must land: those are always taken.
        """
        if not self._policy.must_land(item) and (
            self._closing or self._queue.qsize() >= self._policy.capacity
        ):
            raise BatchUnavailable("The ledger's queue is full.")
        future = asyncio.get_running_loop().create_future()
        item, weight = self._fitted(item)
        self._queue.put(self._answers.expect(item, future, weight))
        if not self._thread.is_alive() and not self._closing:
            # It died and could not start another: out of memory or of threads.
            self._start()
        return future

    def _fitted(self, item: Item) -> tuple[Item, int]:
        """`item` as there is room for it in the queue, and its bytes."""
        weight = self._policy.weigh(item)
        if not weight or self._answers.weight + weight <= self._policy.capacity_bytes:
            return item, weight
        lighter = self._policy.lighter(item)
        if lighter is None:
            return item, weight
        BATCH_REDUCED.inc()
        return lighter, self._policy.weigh(lighter)

    async def put(self, item: Item) -> Any:
        """The work's answer to `item`; it is undone for whoever cannot take that.

        Raises BatchUnavailable.
        """
        future = self.submit(item)
        try:
            return await future
        except asyncio.CancelledError:
            # Cancelled after the answer had come, but before we ran on with it. (One
            # that is still under way is cancelled with us: see _orphaned.)
            if future.done() and not future.cancelled() and future.exception() is None:
                self._undo(item, future)
            raise

    @property
    def depth(self) -> int:
        """Items waiting, about."""
        return self._queue.qsize() + len(self._retries)

    @property
    def healthy(self) -> bool:
        """False while the last transaction failed for want of the database."""
        return self._failures == 0 and self._thread.is_alive()

    @property
    def landing(self) -> bool:
        """False while what must be committed cannot be."""
        return self._thread.is_alive() and not (self._refusing and len(self._retries))

    def close(self, timeout_s: float = 5.0) -> None:
        """Commit what is queued, then end the thread; waits about `timeout_s` at most."""
        self._give_up_at = time.monotonic() + timeout_s
        self._closing = True
        self._queue.put(None)
        self._thread.join(timeout_s + 0.5)

    # The thread

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="batch", daemon=True)
        thread.start()
        # Only now: whoever closes meanwhile can wait for no thread that has not begun.
        self._thread = thread

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # noqa: BLE001 - without the thread nobody is served
            self._replace(error)

    def _replace(self, error: BaseException) -> None:
        """This thread ends: another takes over all that has no answer yet."""
        BATCH_THREADS.inc()
        said = f"{type(error).__name__}: {error}".split("\n")[0]
        log.critical("batch.thread_died", error=said, waiting=len(self._answers))
        self._failures += 1
        with suppress(Exception):
            self._connection.close()
        with suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
        batch, self._batch, self._halves, self._next = self._batch, [], [], None
        self._undos = []
        self._retries.clear()
        for one in batch:
            one.company = max(1, len(batch) // 2)
        for one in self._answers.waiting():
            one.failed_alone += [one] == batch
            if one.failed_alone >= ALONE:
                self._refused(one, error)
            else:
                self._keep_or_refuse(one, error)
        self._retries.failed(0, again=self._retried)
        self._start()

    def _serve(self) -> None:
        while not self._ended():
            self._batch = self._take()
            if self._batch:
                self._commit(self._batch)
        failure = BatchUnavailable("The process ended before the database took it.")
        self._answers.give([(waiting, failure) for waiting in self._answers.waiting()])
        self._connection.close()

    def _ended(self) -> bool:
        if not self._closing:
            return False
        return not self._answers or time.monotonic() >= self._give_up_at

    # What is committed next

    def _take(self) -> list[Waiting[Item]]:
        """What is to be committed next; waits until there is something."""
        if self._undos:
            undos, self._undos = self._undos, []
            return undos
        if self._halves:
            return self._halves.pop()
        # Turn by turn: however much is to be tried again, who comes now is answered now.
        again = [] if self._retried else self._retries.take()
        self._retried = bool(again)
        return again or self._fresh()

    def _fresh(self) -> list[Waiting[Item]]:
        """What has queued up, as much as fits into a batch."""
        busy = len(self._batch) >= BUSY
        wait_s = self._retries.wait_s
        first = self._one(wait_s)
        if first is None:
            return []
        if busy:
            time.sleep(LINGER_S)
        if not self._closing:
            time.sleep(backoff(self._failures))
        batch, room = [first], self._policy.max_bytes - self._policy.weigh(first.item)
        while len(batch) < self._policy.size and (one := self._one(0)):
            room -= self._policy.weigh(one.item)
            if room < 0:
                self._next = one
                break
            batch.append(one)
        return batch

    def _one(self, wait_s: float | None) -> Waiting[Item] | None:
        """The next item of the queue. None: it is empty, or it is time to look again."""
        one, self._next = self._next, None
        if one is None:
            with suppress(queue.Empty):
                one = self._queue.get(timeout=wait_s)
        # One that a dead thread had queued was passed on to the retries, or refused.
        return one if one is not None and one in self._answers else None

    # What becomes of a batch

    def _commit(self, batch: list[Waiting[Item]]) -> None:
        self._reduction.lighten(batch)
        began = time.monotonic()
        self._policy.observe(len(batch), began - batch[0].queued_at)
        try:
            answers = self._connection.work([waiting.item for waiting in batch])
        except Exception as error:  # noqa: BLE001 - the thread serves all the others
            self._failed(batch, error, time.monotonic() - began)
            return
        self._failures = 0
        if self._retried:
            self._refusing = False
            self._retries.landed()
        self._answers.give(zip(batch, answers, strict=True))

    def _failed(
        self, batch: list[Waiting[Item]], error: Exception, took_s: float
    ) -> None:
        if not sqlstate.row_at_fault(error):
            self._away(batch, error, took_s)
        elif len(batch) == 1:
            self._refused(batch[0], error)
        else:
            # One bad item must not take the others with it.
            half = len(batch) // 2
            self._halves += [batch[half:], batch[:half]]

    def _away(
        self, batch: list[Waiting[Item]], error: Exception, took_s: float
    ) -> None:
        """The database is away, slow or locked: refuse, but keep what must land."""
        unreached = isinstance(error, Unreached)
        if unreached or not self._retried:
            self._failures += 1
        kind = "unreached" if unreached else sqlstate.sqlstate_of(error)[:2] or "lost"
        BATCH_FAILED.labels(kind).inc()
        log.warning("batch.failed", items=len(batch), error=type(error).__name__)
        if len(batch) == 1 and not unreached and self._to_blame(batch[0], error):
            self._reduction.blame(batch[0], error)
        for waiting in batch:
            if not unreached:
                waiting.company = max(1, len(batch) // 2)
            self._keep_or_refuse(waiting, error)
        self._refusing = sqlstate.refuses_writes(error)
        rest_s = 0 if self._closing else took_s
        self._retries.failed(rest_s, again=self._retried)

    def _keep_or_refuse(self, waiting: Waiting[Item], error: BaseException) -> None:
        """What must land is tried again; others are refused, and undone if need be."""
        if self._policy.must_land(waiting.item):
            self._retries.add(waiting)
            return
        self._answers.give(
            [(waiting, BatchUnavailable("The database did not answer."))]
        )
        self._undo_unheard(waiting, error)

    def _undo_unheard(self, waiting: Waiting[Item], error: BaseException) -> None:
        """Nobody heard whether it was committed: give it back if it was."""
        if isinstance(error, Unreached) or not sqlstate.maybe_committed(error):
            return
        undo = self._policy.undo(waiting.item)
        if undo is not None:
            self._undos.append(self._answers.expect(undo, waiting.future))

    def _to_blame(self, waiting: Waiting[Item], error: Exception) -> bool:
        """Does it fail again and again, alone, while the database takes other writes?"""
        if not self._policy.must_land(waiting.item):
            return False
        waiting.failed_alone += 1
        often = self._closing or waiting.failed_alone >= ALONE
        if not often or not sqlstate.row_suspected(error):
            return False
        return self._connection.takes_writes()

    def _refused(self, waiting: Waiting[Item], error: BaseException) -> None:
        """Its own fault: what must land is tried once more, in plainer words."""
        if self._reduction.simplify(waiting, error):
            self._halves.append([waiting])
            return
        self._answers.give([(waiting, error)])
        self._undo_unheard(waiting, error)

    # Whoever asked has gone: what was committed for it is given back

    def _orphaned(self, waiting: Waiting[Item]) -> None:
        self._undo(waiting.item, waiting.future)

    def _undo(self, item: Item, future: asyncio.Future[Any]) -> None:
        undo = self._policy.undo(item)
        if undo is not None:
            self._queue.put(self._answers.expect(undo, future))
