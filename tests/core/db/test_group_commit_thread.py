"""The thread of the group commit dies: another one takes over, whatever it died of."""

import threading
from collections.abc import Callable

import psycopg
import pytest
import structlog

from tests.core.broken_desk import BrokenDesk, Thing, outcomes, serving
from valuecanvas.core.db import commit_retries
from valuecanvas.core.db.commit_queue import CommitQueue
from valuecanvas.core.db.group_commit import BatchUnavailable, GroupCommit
from valuecanvas.core.metrics import BATCH_GIVEN_UP, BATCH_THREADS


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_retries, "BACKOFF", (0.001,))


def replaced() -> float:
    return float(BATCH_THREADS._value.get())


@pytest.mark.parametrize(
    "error", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException]
)
async def test_thread__dies_in_mid_commit__is_replaced_and_loses_nothing(
    error: type[BaseException],
) -> None:
    desk, before = BrokenDesk(), replaced()
    with structlog.testing.capture_logs() as lines:
        async with serving(desk) as group:
            first = group._thread
            answers = await outcomes(
                group,
                Thing("deadly", error=error, times=1),
                Thing("bill"),
                Thing("asked", must_commit=False),
            )
            assert answers[:2] == ["deadly", "bill"]
            # Refused, if it was in that batch; and then it is undone.
            refused = isinstance(answers[2], BatchUnavailable)
            assert refused or answers[2] == "asked"
            assert await group.put(Thing("later", must_commit=False)) == "later"
            assert group.healthy
            assert group.writable
            assert group._thread is not first
            assert ("undo-asked" in desk.landed) is refused
    assert replaced() == before + 1
    [line] = [one for one in lines if one["event"] == "batch.thread_died"]
    assert line["log_level"] == "critical"
    assert line["error"].startswith(error.__name__)


@pytest.mark.parametrize("place", ["take", "_commit", "_handle_failure", "observe"])
async def test_thread__dies_anywhere__goes_on_with_all_that_waits(
    monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    died: list[str] = []

    def deadly(real: Callable[..., object]) -> Callable[..., object]:
        def once(*args: object) -> object:
            if not died:
                died.append(place)
                raise RuntimeError(place)
            return real(*args)

        return once

    desk = BrokenDesk()
    fields = {"observe": deadly(lambda *args: None)} if place == "observe" else {}
    if place != "observe":
        owner = CommitQueue if place == "take" else GroupCommit
        monkeypatch.setattr(owner, place, deadly(getattr(owner, place)))
    async with serving(desk, **fields) as group:
        lost = Thing("a", error=psycopg.errors.DiskFull, times=1)
        assert await outcomes(group, lost, Thing("b")) == ["a", "b"]
    assert died == [place]


async def test_thread__killed_by_one_item_again_and_again__gives_up_only_that_one() -> (
    None
):
    desk, given_up = BrokenDesk(), BATCH_GIVEN_UP._value.get()
    deadly = Thing("deadly", error=lambda: SystemExit("again"))
    async with serving(desk) as group:
        *rest, error = await outcomes(group, Thing("a"), Thing("b"), deadly)
        assert isinstance(error, SystemExit)
        assert rest == ["a", "b"]
        assert await group.put(Thing("later", must_commit=False)) == "later"
    assert BATCH_GIVEN_UP._value.get() == given_up + 1


async def test_thread__cannot_be_replaced_at_once__is_not_ready_until_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No memory for a thread: the next who asks tries again."""
    desk = BrokenDesk()
    async with serving(desk) as group:
        monkeypatch.setattr(group, "_start", lambda: None)
        bill = group.submit(Thing("deadly", error=SystemExit, times=1))
        await_end(group._thread)
        assert (group.healthy, group.writable) == (False, False)
        monkeypatch.undo()
        assert await group.put(Thing("later", must_commit=False)) == "later"
        assert await bill == "deadly"
        assert group.writable


def await_end(thread: threading.Thread) -> None:
    thread.join(60)
    assert not thread.is_alive()
