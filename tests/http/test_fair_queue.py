"""Slots in which visitors take turns, and bytes of which none may take all."""

import asyncio

import pytest

from valuecanvas.http.fairness.fair_queue import FairQueue, QueueFull
from valuecanvas.http.fairness.held_bytes import (
    MOST_HELD_BYTES,
    HeldBytes,
    HeldShare,
)


class Line:
    """What becomes of the requests of a queue, in the order of their turns."""

    def __init__(self, slots: int, most: int) -> None:
        self.queue = FairQueue(slots, most)
        self.served: list[str] = []

    def ask(self, name: str) -> "asyncio.Task[None]":
        return asyncio.create_task(self._ask(name))

    async def _ask(self, name: str) -> None:
        await self.queue.take(name[0])
        self.served.append(name)


async def test_turns__one_asks_much_more__are_taken_by_all_alike() -> None:
    line = Line(1, 10)
    names = ["a1", "a2", "a3", "a4", "b1", "c1", "b2"]
    tasks = [line.ask(name) for name in names]
    await asyncio.sleep(0)
    for index in range(len(names)):
        line.queue.give_back(line.served[index][0])
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert line.served == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]


async def test_slots__one_asks_alone__are_half_its_own() -> None:
    line = Line(4, 10)
    tasks = [line.ask(name) for name in ("a1", "a2", "a3", "a4", "b1", "b2")]
    await asyncio.sleep(0)
    assert line.served == ["a1", "a2", "b1", "b2"]
    assert (line.queue.is_waiting("a"), line.queue.is_waiting("b")) == (True, False)
    line.queue.give_back("b")
    await asyncio.sleep(0)
    assert line.served[4:] == []
    for _ in range(2):
        line.queue.give_back("a")
    await asyncio.gather(*tasks)
    assert line.served[4:] == ["a3", "a4"]


async def test_full__of_one_visitor__gives_up_its_last_for_another() -> None:
    line = Line(1, 2)
    first, second, third = (line.ask(name) for name in ("a1", "a2", "a3"))
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await line.ask("a4")
    other = line.ask("b1")
    with pytest.raises(QueueFull):
        await third
    # Nobody has more than one now.
    with pytest.raises(QueueFull):
        await line.ask("c1")
    for _ in range(2):
        line.queue.give_back("a")
        await asyncio.sleep(0)
    await asyncio.gather(first, second, other)
    assert line.served == ["a1", "a2", "b1"]


@pytest.mark.parametrize("late", [False, True])
async def test_slot__of_one_who_left__goes_to_the_next(late: bool) -> None:
    line = Line(1, 5)
    first, leaver, last = (line.ask(name) for name in ("a1", "b1", "c1"))
    await asyncio.sleep(0)
    if late:
        # It has its slot, but has not been told so.
        line.queue.give_back("a")
    leaver.cancel()
    await asyncio.sleep(0)
    if not late:
        line.queue.give_back("a")
    await asyncio.gather(first, last)
    line.queue.give_back("c")
    await line.ask("d1")
    assert (leaver.cancelled(), line.served) == (True, ["a1", "c1", "d1"])


def test_bytes__held_by_one_visitor__are_half_at_most() -> None:
    held = HeldBytes()
    one, more, other = HeldShare(held, "a"), HeldShare(held, "a"), HeldShare(held, "b")
    one.add(MOST_HELD_BYTES // 2 + 1)
    assert (one.too_much, more.too_much, other.too_much) == (True, True, False)
    other.add(MOST_HELD_BYTES // 2)
    assert HeldShare(held, "c").too_much
    one.free()
    other.free()
    assert not any(share.too_much for share in (one, more, other))
