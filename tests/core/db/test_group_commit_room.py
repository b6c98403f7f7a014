"""The queue's room in bytes: what waits beyond it waits without its largest part."""

import asyncio
import threading
from collections.abc import Sequence

import psycopg
import pytest

from tests.core.broken_desk import BrokenDesk, Thing, serving


class Slow(BrokenDesk):
    """Holds its first batch until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.busy, self.go = threading.Event(), threading.Event()

    def work(
        self, connection: psycopg.Connection, things: Sequence[Thing]
    ) -> Sequence[object]:
        self.busy.set()
        self.go.wait()
        return super().work(connection, things)


@pytest.mark.parametrize("must_commit", [True, False])
async def test_queue__bytes_beyond_its_room__wait_without_them(
    must_commit: bool,
) -> None:
    desk = Slow()
    async with serving(desk, capacity_bytes=300, max_bytes=10**6) as group:
        first = group.submit(Thing("first"))
        await asyncio.to_thread(desk.busy.wait)
        things = [Thing(str(n), must_commit, weight=70) for n in range(50)]
        waiting = [group.submit(thing) for thing in things]
        assert group._answers.weight == 280
        desk.go.set()
        names = await asyncio.gather(first, *waiting)
        assert names == ["first", *(thing.name for thing in things)]
        assert sum(desk.weights) == 280
        # All of it has landed: there is room again, also for one that fills it.
        assert group._answers.weight == 0
        await group.submit(Thing("last", must_commit, weight=300))
        assert desk.weights[-1] == 300


async def test_queue__what_has_no_lighter_form__is_taken_all_the_same() -> None:
    desk = Slow()
    desk.go.set()
    async with serving(desk, capacity_bytes=10) as group:
        object.__setattr__(group._policy, "shrink", lambda thing: None)
        assert await group.submit(Thing("a", weight=11)) == "a"
    assert desk.weights == [11]


async def test_queue__failed_and_refused_ones__give_their_room_back() -> None:
    desk = BrokenDesk()
    async with serving(desk) as group:
        lost = Thing("lost", error=lambda: psycopg.OperationalError("lost"), times=2)
        bad = Thing("bad", error=psycopg.errors.NotNullViolation, weight=9)
        waiting = [group.submit(one) for one in (Thing("a", weight=5), lost, bad)]
        await asyncio.gather(*waiting, return_exceptions=True)
        assert group._answers.weight == 0
