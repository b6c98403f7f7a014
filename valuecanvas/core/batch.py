"""Group commit: one thread, one connection and one queue for a process's small writes.

Whatever has queued up while the last transaction ran goes into the next one, so the
cost of a write falls as load rises and connections stay at one a process.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import psycopg
import structlog

Item = TypeVar("Item")
log = structlog.get_logger("core.batch")

# Waits between tries while the database is away, in seconds; the last one repeats.
BACKOFF = (0.05, 0.1, 0.2, 0.5)
# After a batch of so many items the next one waits a moment for company: a transaction
# for a few costs nearly what one for many does. Who comes alone never waits.
BUSY = 4
LINGER_S = 0.001


class BatchUnavailable(Exception):
    """The item was not committed: the database is away or the queue is full."""


class _Unreached(psycopg.OperationalError):
    """No connection: nothing of the batch can have been committed."""


@dataclass(slots=True)
class Waiting(Generic[Item]):
    """One queued item and who waits for it."""

    item: Item
    future: asyncio.Future[Any]
    queued_at: float


# Commits `items` in one transaction on the connection and answers each in order.
Work = Callable[[psycopg.Connection, Sequence[Item]], Sequence[object]]


@dataclass(frozen=True, slots=True)
class Policy(Generic[Item]):
    """What differs between uses of the group commit."""

    connect: Callable[[], psycopg.Connection]
    work: Work[Item]
    # True for items that must be committed in the end, however long it takes.
    must_land: Callable[[Item], bool]
    # What undoes an item whose commit may or may not have happened; None: nothing.
    undo: Callable[[Item], Item | None]
    # An item that the database refused, without what it may have been refused for;
    # None: there is nothing to leave out.
    plainer: Callable[[Item], Item | None] = lambda item: None
    size: int = 200
    capacity: int = 5000
    observe: Callable[[int, float], None] = lambda count, waited: None


class GroupCommit(Generic[Item]):
    """The queue and its thread. `submit` from an event loop, `close` at the end."""

    def __init__(self, policy: Policy[Item]) -> None:
        self._policy = policy
        self._queue: queue.SimpleQueue[Waiting[Item] | None] = queue.SimpleQueue()
        self._retry: list[Waiting[Item]] = []
        self._closing = False
        self._failures = 0
        # Items in the last batch.
        self._taken = 0
        self._connection: psycopg.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="batch", daemon=True)
        self._thread.start()

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
        self._queue.put(Waiting(item, future, time.monotonic()))
        return future

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
        return self._queue.qsize() + len(self._retry)

    @property
    def healthy(self) -> bool:
        """False while the last transaction failed for want of the database."""
        return self._failures == 0

    def close(self, timeout_s: float = 5.0) -> None:
        """Commit what is queued, then end the thread; waits at most `timeout_s`."""
        self._closing = True
        self._queue.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            batch = self._take()
            if batch:
                self._commit(batch)
            if self._closing and self._queue.empty() and not self._retry:
                break
        self._drop_connection()

    def _take(self) -> list[Waiting[Item]]:
        """What is to be committed next; blocks until there is something."""
        size = self._policy.size
        busy = self._taken >= BUSY
        batch, self._retry = self._retry[:size], self._retry[size:]
        # However much is to be tried again, who comes now is answered now.
        most = len(batch) + size
        if not batch:
            first = self._queue.get()
            if first is not None:
                batch.append(first)
                if busy:
                    time.sleep(LINGER_S)
        self._pause()
        while len(batch) < most:
            try:
                one = self._queue.get_nowait()
            except queue.Empty:
                break
            if one is not None:
                batch.append(one)
        self._taken = len(batch)
        return batch

    def _pause(self) -> None:
        index = min(self._failures, len(BACKOFF)) - 1
        if index >= 0 and not self._closing:
            time.sleep(BACKOFF[index])

    def _commit(self, batch: list[Waiting[Item]]) -> None:
        self._policy.observe(len(batch), time.monotonic() - batch[0].queued_at)
        try:
            answers = self._work(batch)
        except psycopg.OperationalError as error:
            self._away(batch, error)
        except Exception as error:  # noqa: BLE001 - the thread serves all the others
            self._one_by_one(batch, error)
        else:
            self._failures = 0
            self._resolve(zip(batch, answers, strict=True))

    def _work(self, batch: list[Waiting[Item]]) -> Sequence[object]:
        if self._connection is None or self._connection.closed:
            try:
                self._connection = self._policy.connect()
            except psycopg.OperationalError as error:
                raise _Unreached(str(error)) from error
        try:
            return self._policy.work(
                self._connection, [waiting.item for waiting in batch]
            )
        except BaseException:
            # Whatever it was, the transaction is open and holds locks.
            self._drop_connection()
            raise

    def _away(self, batch: list[Waiting[Item]], error: Exception) -> None:
        """The database is away, slow or locked: refuse, but keep what must land."""
        self._failures += 1
        log.warning("batch.failed", items=len(batch), error=type(error).__name__)
        refused: list[Waiting[Item]] = []
        for waiting in batch:
            if self._policy.must_land(waiting.item):
                self._retry.append(waiting)
                continue
            refused.append(waiting)
            undo = self._policy.undo(waiting.item)
            if undo is not None and not isinstance(error, _Unreached):
                self._retry.append(Waiting(undo, waiting.future, waiting.queued_at))
        failure = BatchUnavailable("The database did not answer.")
        self._resolve([(waiting, failure) for waiting in refused])
        if self._closing:
            # Nobody waits any more; the reaper ends what is left.
            self._resolve([(waiting, failure) for waiting in self._retry])
            self._retry = []

    def _one_by_one(self, batch: list[Waiting[Item]], error: Exception) -> None:
        """One bad item must not take the others with it."""
        if len(batch) == 1:
            self._refused(batch[0], error)
            return
        for waiting in batch:
            self._commit([waiting])

    def _refused(self, waiting: Waiting[Item], error: Exception) -> None:
        """What must land is tried once more, in plainer words."""
        plainer = None
        if self._policy.must_land(waiting.item):
            plainer = self._policy.plainer(waiting.item)
        said = {"error": str(error).split("\n")[0], "retried": plainer is not None}
        log.error("batch.refused", **said)
        if plainer is None:
            self._resolve([(waiting, error)])
        else:
            self._commit([Waiting(plainer, waiting.future, waiting.queued_at)])

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _resolve(self, answers: Iterable[tuple[Waiting[Item], object]]) -> None:
        """Hand the answers to the event loops that wait, one wake-up a loop."""
        by_loop: dict[
            asyncio.AbstractEventLoop, list[tuple[Waiting[Item], object]]
        ] = {}
        for waiting, answer in answers:
            by_loop.setdefault(waiting.future.get_loop(), []).append((waiting, answer))
        for loop, pairs in by_loop.items():
            try:
                loop.call_soon_threadsafe(self._deliver, pairs)
            except RuntimeError:
                # The loop is closed: its process is ending and nobody waits.
                log.info("batch.loop_closed", answers=len(pairs))

    def _deliver(self, pairs: list[tuple[Waiting[Item], object]]) -> None:
        for waiting, answer in pairs:
            if waiting.future.done():
                self._orphaned(waiting)
            elif isinstance(answer, BaseException):
                waiting.future.set_exception(answer)
            else:
                waiting.future.set_result(answer)

    def _orphaned(self, waiting: Waiting[Item]) -> None:
        """Whoever asked has gone: what was committed for it is given back."""
        if not waiting.future.cancelled():
            return
        self._undo(waiting.item, waiting.future)

    def _undo(self, item: Item, future: asyncio.Future[Any]) -> None:
        undo = self._policy.undo(item)
        if undo is not None:
            self._queue.put(Waiting(undo, future, time.monotonic()))
