"""Minute limits while Redis is away: each process counts alone, and says so."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from django.conf import settings

from llm.limits.types import Hold, LimitKind, LimitRefused, MinuteUse
from llm.metrics import LIMITS_ALONE
from tests.faults.toxic import Down, LimitData, Timeout, Toxic
from tests.llm.limit_desk import OpenLimiter, Process, customer, open_process
from valuecanvas.core.storage.store import SLOW_ROUNDS

__all__ = ["open_process"]
FAST_S = 0.05


@pytest.fixture
def toxic() -> Iterator[Toxic]:
    proxy = Toxic.before(settings.REDIS_URL)
    yield proxy
    proxy.close()


@pytest.fixture
def process(open_process: OpenLimiter, toxic: Toxic) -> Process:
    """One that reaches Redis by the proxy."""
    return open_process(toxic.url(settings.REDIS_URL))


@pytest.fixture
def other(open_process: OpenLimiter) -> Process:
    """One that Redis always answers."""
    return open_process()


def is_local(taken: MinuteUse) -> bool:
    return all(hold.local for hold in taken.holds)


def events(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = capsys.readouterr().err.splitlines()
    return [
        event
        for event in (json.loads(line)["event"] for line in lines)
        if event.startswith("limits.")
    ]


async def shared_again(process: Process) -> None:
    """Wait until the process finds that Redis is back."""
    who = customer(requests=1_000_000)
    while is_local(await process.taken(who)):
        await asyncio.sleep(0.01)


async def test_take__redis_down__is_decided_here_by_the_same_limits(
    process: Process, toxic: Toxic
):
    with toxic.having(Down()):
        who = customer(3, 100, 2)
        first = await process.taken(who, tokens=10)
        assert is_local(first)
        second = await process.taken(who, tokens=10)
        assert [second.remaining(kind).left for kind in LimitKind] == [1, 80, 0]
        assert (await process.refused(who)).kind is LimitKind.CONCURRENT
        await process.limiter.give_back(first, used_tokens=90)
        assert (await process.refused(who, tokens=1)).kind is LimitKind.TOKENS
        await process.limiter.give_back(second, used_tokens=None)
        third = await process.taken(who)
        assert [third.remaining(kind).left for kind in LimitKind] == [1, 10, 1]


async def test_take__redis_silent__is_decided_here(
    open_process: OpenLimiter, toxic: Toxic
):
    process = open_process(toxic.url(settings.REDIS_URL), timeout_s=FAST_S)
    who = customer(requests=SLOW_ROUNDS + 1)
    with toxic.having(Timeout()):
        for _ in range(SLOW_ROUNDS + 1):
            assert is_local(await process.taken(who))
        assert (await process.refused(who)).kind is LimitKind.REQUESTS
        assert not process.store.up


async def test_take__script_fails_in_redis__is_decided_here(other: Process):
    who = customer(requests=1)
    await other.store.command("SET", other.limiter._key(who.name), "not a hash")
    assert is_local(await other.taken(who))
    assert (await other.refused(who)).kind is LimitKind.REQUESTS


async def test_redis__down_and_back__is_told_once_each(
    process: Process, toxic: Toxic, capsys: pytest.CaptureFixture[str]
):
    before = LIMITS_ALONE._value.get()
    for _ in range(2):
        with toxic.having(Down()):
            for _ in range(4):
                assert is_local(await process.taken(customer(requests=1)))
        await shared_again(process)
    assert events(capsys) == ["limits.alone", "limits.shared_again"] * 2
    assert LIMITS_ALONE._value.get() >= before + 8


async def test_redis__back__counts_for_all_processes_again(
    process: Process, other: Process, toxic: Toxic
):
    who = customer(requests=2)
    with toxic.having(Down()):
        await process.taken(who)
    await shared_again(process)
    assert (await process.taken(who)).remaining(LimitKind.REQUESTS).left == 1
    await other.taken(who)
    await process.refused(who)


async def test_give_back__redis_down__ends_the_lease_when_it_is_back(
    process: Process, other: Process, toxic: Toxic
):
    who = customer(concurrent=1)
    taken = await process.taken(who)
    with toxic.having(Down()):
        await process.limiter.give_back(taken, used_tokens=5)
    assert isinstance(await other.take(who), LimitRefused)
    await shared_again(process)
    await process.limiter.close()
    await other.taken(who)


async def test_give_back__taken_in_redis_but_never_heard__ends_that_lease(
    process: Process, other: Process, toxic: Toxic
):
    await process.taken(customer(requests=9))  # connected
    who = customer(requests=9, concurrent=1)
    with toxic.having(LimitData(0)):
        taken = await process.taken(who)
    assert is_local(taken)
    assert toxic.injected["LimitData"] == 1
    assert isinstance(await other.take(who), LimitRefused)  # Redis had counted it
    await process.limiter.give_back(taken, used_tokens=5)
    await shared_again(process)
    await process.limiter.close()
    await other.taken(who)


async def test_give_back__redis_still_down__is_tried_again_later(
    process: Process, other: Process, toxic: Toxic
):
    first, second = customer(concurrent=1), customer(concurrent=1)
    for who in (first, second):
        taken = await process.taken(who)
        with toxic.having(Down()):
            await process.limiter.give_back(taken, used_tokens=5)
            await process.limiter._pay()
    await shared_again(process)
    await process.limiter.close()
    await other.taken(first, second)


async def test_give_back__without_a_concurrency_limit__owes_nothing(
    process: Process, toxic: Toxic
):
    taken = await process.taken(customer(tokens=100), tokens=50)
    with toxic.having(Down()):
        await process.limiter.give_back(taken, used_tokens=5)
    assert not process.limiter._owed
    assert isinstance(taken.holds[0], Hold)
