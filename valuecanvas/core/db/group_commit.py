"""Group commit: one thread with one connection commits a process's small writes.

All items that were queued during one transaction go into the next one. So the cost of a
write falls as load rises, and a process needs one connection only.
"""

import asyncio
import math
import threading
import time
from contextlib import suppress
from typing import Any, Generic, TypeVar

import structlog

from valuecanvas.core.db import sqlstate
from valuecanvas.core.db.commit_answers import Answers
from valuecanvas.core.db.commit_connection import CommitConnection, Unreached
from valuecanvas.core.db.commit_policy import BatchUnavailable, Policy
from valuecanvas.core.db.commit_queue import CommitQueue
from valuecanvas.core.db.commit_retries import Waiting, backoff
from valuecanvas.core.db.row_reduction import Reduction
from valuecanvas.core.metrics import BATCH_FAILED, BATCH_REDUCED, BATCH_THREADS

__all__ = ["BatchUnavailable", "GroupCommit", "Policy"]

Item = TypeVar("Item")
log = structlog.get_logger("core.batch")

# An item that failed so often alone, while the database accepts writes, is itself at fault.
MAX_ALONE = 2


class GroupCommit(Generic[Item]):
    """The queue and its thread. `submit` from an event loop, `close` at the end."""

    def __init__(self, policy: Policy[Item]) -> None:
        self._policy = policy
        # All items without an answer; it outlives the thread.
        self._answers: Answers[Item] = Answers(self._undo_abandoned)
        self._reduction = Reduction(policy)
        self._queue = CommitQueue(policy, self._answers)
        self._closing = False
        self._give_up_at = math.inf
        self._failures = 0
        # Whether the database refuses writes that must be committed.
        self._refusing = False
        # The batch that is being committed.
        self._batch: list[Waiting[Item]] = []
        self._connection = CommitConnection(policy)
        self._start()

    def submit(self, item: Item) -> asyncio.Future[Any]:
        """Queue `item`; the future has the work's answer or raises its error.

        Raises BatchUnavailable at once if the queue is full or closing, except for
        items that must be committed: those are always queued.
        """
        if not self._policy.must_commit(item) and (
            self._closing or self._queue.size >= self._policy.capacity
        ):
            raise BatchUnavailable("The ledger's queue is full.")
        future = asyncio.get_running_loop().create_future()
        item, weight = self._fit(item)
        self._queue.put(self._answers.expect(item, future, weight))
        if not self._thread.is_alive() and not self._closing:
            # The thread died and could not start another: out of memory or of threads.
            self._start()
        return future

    def _fit(self, item: Item) -> tuple[Item, int]:
        """`item`, shrunk if the queue has no space for it, and its bytes."""
        weight = self._policy.weigh(item)
        if not weight or self._answers.weight + weight <= self._policy.capacity_bytes:
            return item, weight
        smaller = self._policy.shrink(item)
        if smaller is None:
            return item, weight
        BATCH_REDUCED.inc()
        return smaller, self._policy.weigh(smaller)

    async def put(self, item: Item) -> Any:
        """The work's answer to `item`; if the caller is cancelled, the item is undone.

        Raises BatchUnavailable.
        """
        future = self.submit(item)
        try:
            return await future
        except asyncio.CancelledError:
            # Cancelled after the answer arrived, but before it was returned. (A future
            # without an answer is cancelled with us: see _undo_abandoned.)
            if future.done() and not future.cancelled() and future.exception() is None:
                self._undo(item, future)
            raise

    @property
    def depth(self) -> int:
        """Items waiting, about."""
        return self._queue.size + len(self._queue.retries)

    @property
    def healthy(self) -> bool:
        """False if the last transaction failed because of the database."""
        return self._failures == 0 and self._thread.is_alive()

    @property
    def writable(self) -> bool:
        """False while items that must be committed cannot be."""
        return self._thread.is_alive() and not (
            self._refusing and len(self._queue.retries)
        )

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
        # Only now: `close` cannot join a thread that has not started.
        self._thread = thread

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # noqa: BLE001 - nothing is committed without the thread
            self._replace_thread(error)

    def _replace_thread(self, error: BaseException) -> None:
        """Start a new thread, which takes over all items without an answer."""
        BATCH_THREADS.inc()
        summary = f"{type(error).__name__}: {error}".split("\n")[0]
        log.critical("batch.thread_died", error=summary, waiting=len(self._answers))
        self._failures += 1
        with suppress(Exception):
            self._connection.close()
        self._queue.clear()
        batch, self._batch = self._batch, []
        for one in batch:
            one.max_batch = max(1, len(batch) // 2)
        for one in self._answers.all():
            one.solo_failures += [one] == batch
            if one.solo_failures >= MAX_ALONE:
                self._reject(one, error)
            else:
                self._keep_or_refuse(one, error)
        self._queue.retries.record_failure(0, again=self._queue.retried)
        self._start()

    def _serve(self) -> None:
        while not self._has_ended():
            self._batch = self._queue.take(len(self._batch), self._rest_s)
            if self._batch:
                self._commit(self._batch)
        failure = BatchUnavailable("The process ended before the database took it.")
        self._answers.give([(waiting, failure) for waiting in self._answers.all()])
        self._connection.close()

    def _rest_s(self) -> float:
        """How long the database is left alone before the next batch."""
        return 0.0 if self._closing else backoff(self._failures)

    def _has_ended(self) -> bool:
        if not self._closing:
            return False
        return not self._answers or time.monotonic() >= self._give_up_at

    # The result of a batch

    def _commit(self, batch: list[Waiting[Item]]) -> None:
        self._reduction.lighten(batch)
        began = time.monotonic()
        self._policy.observe(len(batch), began - batch[0].queued_at)
        try:
            answers = self._connection.work([waiting.item for waiting in batch])
        except Exception as error:  # noqa: BLE001 - the thread must go on
            self._handle_failure(batch, error, time.monotonic() - began)
            return
        self._failures = 0
        if self._queue.retried:
            self._refusing = False
            self._queue.retries.record_success()
        self._answers.give(zip(batch, answers, strict=True))

    def _handle_failure(
        self, batch: list[Waiting[Item]], error: Exception, took_s: float
    ) -> None:
        if not sqlstate.row_at_fault(error):
            self._on_outage(batch, error, took_s)
        elif len(batch) == 1:
            self._reject(batch[0], error)
        else:
            # One bad item must not fail the others: commit the halves apart.
            half = len(batch) // 2
            self._queue.halves += [batch[half:], batch[:half]]

    def _on_outage(
        self, batch: list[Waiting[Item]], error: Exception, took_s: float
    ) -> None:
        """The database is down, slow or locked: refuse, but retry what must be committed."""
        unreached = isinstance(error, Unreached)
        if unreached or not self._queue.retried:
            self._failures += 1
        kind = "unreached" if unreached else sqlstate.sqlstate_of(error)[:2] or "lost"
        BATCH_FAILED.labels(kind).inc()
        log.warning("batch.failed", items=len(batch), error=type(error).__name__)
        if len(batch) == 1 and not unreached and self._is_at_fault(batch[0], error):
            self._reduction.blame(batch[0], error)
        for waiting in batch:
            if not unreached:
                waiting.max_batch = max(1, len(batch) // 2)
            self._keep_or_refuse(waiting, error)
        self._refusing = sqlstate.refuses_writes(error)
        rest_s = 0 if self._closing else took_s
        self._queue.retries.record_failure(rest_s, again=self._queue.retried)

    def _keep_or_refuse(self, waiting: Waiting[Item], error: BaseException) -> None:
        """Retry an item that must be committed; refuse others, and undo them if needed."""
        if self._policy.must_commit(waiting.item):
            self._queue.retries.add(waiting)
            return
        self._answers.give(
            [(waiting, BatchUnavailable("The database did not answer."))]
        )
        self._undo_uncertain(waiting, error)

    def _undo_uncertain(self, waiting: Waiting[Item], error: BaseException) -> None:
        """It is not known whether the item was committed: undo it if it was."""
        if isinstance(error, Unreached) or not sqlstate.maybe_committed(error):
            return
        undo = self._policy.undo(waiting.item)
        if undo is not None:
            self._queue.undos.append(self._answers.expect(undo, waiting.future))

    def _is_at_fault(self, waiting: Waiting[Item], error: Exception) -> bool:
        """Whether it fails repeatedly, alone, while the database accepts other writes."""
        if not self._policy.must_commit(waiting.item):
            return False
        waiting.solo_failures += 1
        often = self._closing or waiting.solo_failures >= MAX_ALONE
        if not often or not sqlstate.row_suspected(error):
            return False
        return self._connection.takes_writes()

    def _reject(self, waiting: Waiting[Item], error: BaseException) -> None:
        """The item is at fault: refuse it, or retry it in a reduced form if it must be committed."""
        if self._reduction.simplify(waiting, error):
            self._queue.halves.append([waiting])
            return
        self._answers.give([(waiting, error)])
        self._undo_uncertain(waiting, error)

    # The caller has gone: undo what was committed for it

    def _undo_abandoned(self, waiting: Waiting[Item]) -> None:
        self._undo(waiting.item, waiting.future)

    def _undo(self, item: Item, future: asyncio.Future[Any]) -> None:
        undo = self._policy.undo(item)
        if undo is not None:
            self._queue.put(self._answers.expect(undo, future))
