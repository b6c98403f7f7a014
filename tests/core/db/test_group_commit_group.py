"""The group commit's queue and thread, on real connections."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import psycopg
import pytest
from django.db import connections

from valuecanvas.core.db import commit_queue, commit_retries
from valuecanvas.core.db.group_commit import BatchUnavailable, GroupCommit, Policy

Work = Callable[[psycopg.Connection, Sequence[str]], Sequence[object]]


def connect() -> psycopg.Connection:
    parameters = connections["default"].get_connection_params()
    wanted = {name: parameters.get(name) for name in ("host", "port", "user", "dbname")}
    return psycopg.connect(
        **wanted, password=parameters.get("password"), autocommit=True
    )


class Desk:
    """Notes each batch, and holds the thread where a test wants it."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.seen: list[int] = []
        self.connections: list[psycopg.Connection] = []
        self.go = threading.Event()
        self.go.set()
        self.busy = threading.Event()
        self.faults: list[Exception] = []

    def connect(self) -> psycopg.Connection:
        self.connections.append(connect())
        return self.connections[-1]

    def work(
        self, connection: psycopg.Connection, items: Sequence[str]
    ) -> Sequence[object]:
        self.busy.set()
        self.go.wait()
        self.batches.append([*items])
        if self.faults:
            raise self.faults.pop(0)
        if "bad" in items or any("~" in item for item in items):
            connection.execute("SELECT 1/0")
        if "odd" in items:
            connection.execute("BEGIN")
            raise LookupError("odd")
        return [item.upper() for item in items]

    def undo(self, item: str) -> str | None:
        return None if item.startswith(("keep", "free")) else f"keep-un{item}"

    def sanitize(self, item: str) -> str | None:
        return item.replace("~", "") if "~" in item else None

    def policy(self, **fields: Any) -> "Policy[str]":
        return Policy(
            connect=self.connect,
            work=self.work,
            must_commit=lambda item: item.startswith("keep"),
            undo=self.undo,
            sanitize=self.sanitize,
            **fields,
        )


@pytest.fixture
def desk(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(commit_retries, "BACKOFF", (0.001, 0.002))
    one = Desk()
    yield one
    one.go.set()
    assert all(connection.closed for connection in one.connections)


@pytest.fixture
async def group(desk: Desk) -> AsyncIterator["GroupCommit[str]"]:
    group = GroupCommit(desk.policy(size=3, observe=lambda n, _: desk.seen.append(n)))
    yield group
    desk.go.set()
    await asyncio.to_thread(group.close)


async def until_busy(desk: Desk) -> None:
    await asyncio.to_thread(desk.busy.wait)


async def test_submit__others_while_one_is_committed__go_together(
    desk: Desk, group: "GroupCommit[str]"
) -> None:
    desk.go.clear()
    first = group.submit("a")
    await until_busy(desk)
    rest = [group.submit(item) for item in "bcde"]
    assert group.depth == 4
    desk.go.set()
    assert await asyncio.gather(first, *rest) == [*"ABCDE"]
    assert desk.batches == [["a"], ["b", "c", "d"], ["e"]]
    assert desk.seen == [1, 3, 1]
    assert len(desk.connections) == 1


async def test_submit__after_a_large_batch__waits_a_moment_for_company(
    desk: Desk, group: "GroupCommit[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_queue, "BUSY", 2)
    monkeypatch.setattr(commit_queue, "LINGER_S", 2.0)
    desk.go.clear()
    first = group.submit("a")
    await until_busy(desk)
    pair = [group.submit(item) for item in "bc"]
    desk.go.set()
    await asyncio.gather(first, *pair)
    alone = group.submit("d")
    await asyncio.sleep(0.01)
    await asyncio.gather(alone, group.submit("e"))
    assert desk.batches == [["a"], ["b", "c"], ["d", "e"]]


async def test_put__cancelled_when_the_answer_had_just_come__is_undone(
    desk: Desk, group: "GroupCommit[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    asking: asyncio.Task[Any] = asyncio.create_task(group.put("a"))
    deliver = group._answers._deliver

    def deliver_and_cancel(pairs: Any) -> None:
        deliver(pairs)
        asking.cancel()

    monkeypatch.setattr(group._answers, "_deliver", deliver_and_cancel)
    with pytest.raises(asyncio.CancelledError):
        await asking
    monkeypatch.undo()
    assert await group.put("b") == "B"
    assert desk.batches[0] == ["a"]
    assert "keep-una" in [item for one in desk.batches for item in one]


async def test_submit__item_of_a_bad_batch__is_tried_alone(
    desk: Desk, group: "GroupCommit[str]"
) -> None:
    desk.go.clear()
    first = group.submit("a")
    await until_busy(desk)
    rest = [group.submit(item) for item in ("b", "bad", "c")]
    desk.go.set()
    answers = await asyncio.gather(first, *rest, return_exceptions=True)
    assert answers[:2] == ["A", "B"]
    assert isinstance(answers[2], psycopg.errors.DivisionByZero)
    assert answers[3] == "C"
    assert group.healthy


async def test_submit__what_must_land_is_refused__lands_in_plainer_words(
    desk: Desk, group: "GroupCommit[str]"
) -> None:
    desk.go.clear()
    first = group.submit("a")
    await until_busy(desk)
    rest = [group.submit(item) for item in ("keep~1", "b~", "c")]
    desk.go.set()
    answers = await asyncio.gather(first, *rest, return_exceptions=True)
    assert answers[:2] == ["A", "KEEP1"]
    assert isinstance(answers[2], psycopg.errors.DivisionByZero)
    assert answers[3] == "C"


async def test_submit__database_away_when_it_is_retried__lands_later_all_the_same(
    desk: Desk, group: "GroupCommit[str]"
) -> None:
    desk.faults = [LookupError("odd"), psycopg.OperationalError("away")]
    assert await group.submit("keep~1") == "KEEP1"
    assert desk.batches == [["keep~1"], ["keep1"], ["keep1"]]


async def test_submit__work_that_fails_in_our_own_code__spares_thread_and_locks(
    desk: Desk, group: "GroupCommit[str]"
) -> None:
    with pytest.raises(LookupError):
        await group.submit("odd")
    idle = psycopg.pq.TransactionStatus.IDLE
    assert desk.connections[0].info.transaction_status is idle
    assert await group.submit("a") == "A"


async def test_submit__database_away__refuses_and_undoes_but_keeps_what_must_land(
    desk: Desk, group: "GroupCommit[str]"
) -> None:
    desk.go.clear()
    first = group.submit("keep-1")
    await until_busy(desk)
    desk.faults = [psycopg.OperationalError("away")] * 3
    asked, free = group.submit("a"), group.submit("free")
    desk.go.set()
    for refused in (asked, free):
        with pytest.raises(BatchUnavailable):
            await refused
    assert await first == "KEEP-1"
    assert await group.submit("b") == "B"
    assert "keep-una" in [item for one in desk.batches for item in one]
    assert "keep-unfree" not in [item for one in desk.batches for item in one]
    assert group.healthy


async def test_submit__waiter_gone__undoes_only_what_can_be_undone(
    desk: Desk, group: "GroupCommit[str]"
) -> None:
    desk.go.clear()
    waiting = [group.submit(item) for item in ("a", "keep-b")]
    await until_busy(desk)
    for one in waiting:
        one.cancel()
    desk.go.set()
    assert await group.submit("z") == "Z"
    assert await group.submit("z") == "Z"
    done = [item for one in desk.batches for item in one]
    assert sorted(done) == ["a", "keep-b", "keep-una", "z", "z"]


async def test_submit__queue_full_or_closing__takes_only_what_must_land(
    desk: Desk,
) -> None:
    group = GroupCommit(desk.policy(capacity=2))
    desk.go.clear()
    waiting = [group.submit("a")]
    await until_busy(desk)
    waiting += [group.submit("b"), group.submit("c")]
    with pytest.raises(BatchUnavailable):
        group.submit("d")
    waiting.append(group.submit("keep"))
    closing = asyncio.create_task(asyncio.to_thread(group.close))
    while not group._closing:
        await asyncio.sleep(0)
    with pytest.raises(BatchUnavailable):
        group.submit("e")
    desk.go.set()
    await closing
    assert await asyncio.gather(*waiting) == ["A", "B", "C", "KEEP"]


async def test_close__database_away__gives_up_in_time(desk: Desk) -> None:
    group = GroupCommit(desk.policy())
    desk.go.clear()
    kept = group.submit("keep")
    await until_busy(desk)
    asked = group.submit("a")
    desk.faults = [psycopg.OperationalError("away")] * 1_000_000
    closing = asyncio.create_task(asyncio.to_thread(group.close, 0.1))
    while not group._closing:
        await asyncio.sleep(0)
    desk.go.set()
    await closing
    for one in (kept, asked):
        with pytest.raises(BatchUnavailable):
            await one
    assert not group.healthy


async def test_close__database_back_in_time__commits_what_must_land(desk: Desk) -> None:
    group = GroupCommit(desk.policy())
    desk.go.clear()
    kept = group.submit("keep")
    await until_busy(desk)
    desk.faults = [psycopg.OperationalError("away")] * 3
    closing = asyncio.create_task(asyncio.to_thread(group.close, 60))
    while not group._closing:
        await asyncio.sleep(0)
    desk.go.set()
    await closing
    assert await kept == "KEEP"


async def test_deliver__loop_closed_meanwhile__thread_goes_on(desk: Desk) -> None:
    group = GroupCommit(desk.policy())

    async def ask() -> None:
        desk.go.clear()
        desk.busy.clear()
        group.submit("a")
        desk.busy.wait()

    # A loop of its own, in a thread, that ends while the item is being committed.
    await asyncio.to_thread(asyncio.run, ask())
    desk.go.set()
    assert await group.submit("b") == "B"
    await asyncio.to_thread(group.close)
