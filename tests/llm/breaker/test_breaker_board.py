"""The breakers as processes see them: shared in Redis, local while it is away."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis
from django.conf import settings

from llm.breaker import board as module
from llm.breaker.board import Board, redis_key
from llm.breaker.types import BreakerState, Event, Name, Pass, Rejected
from llm.metrics import BREAKER
from valuecanvas.core.storage.store import Store
from valuecanvas.embedded.processes import free_port

NAME = Name("together", "llama")
Transitions = list[tuple[Name, BreakerState, BreakerState, str]]
OPENED = (NAME, BreakerState.CLOSED, BreakerState.OPEN, "5 failures in a row")
PROBING = (NAME, BreakerState.OPEN, BreakerState.HALF_OPEN, "probing")


class Process:
    """One process's board, and the transitions that it reported."""

    def __init__(self, store: Store, owner: str = "") -> None:
        self.reported: Transitions = []
        self.store = store
        self.board = Board(store, lambda *told: self.reported.append(told), owner)

    async def fail(self, count: int = 1) -> None:
        for _ in range(count):
            leave = await self.leave()
            await self.board.report(NAME, leave, Event.FAILURE)

    async def leave(self) -> Pass:
        leave = await self.board.acquire(NAME, lease_s=30)
        assert isinstance(leave, Pass)
        return leave

    async def rejected(self) -> Rejected:
        answer = await self.board.acquire(NAME, lease_s=30)
        assert isinstance(answer, Rejected)
        return answer


@pytest.fixture
async def start(prefix: str) -> AsyncIterator[Callable[..., Process]]:
    """Starts processes, on the run's Valkey unless told another URL."""
    started: list[Process] = []

    def one(url: str = settings.REDIS_URL, *, owner: str = "") -> Process:
        started.append(Process(Store(url, timeout_s=5, prefix=prefix), owner))
        return started[-1]

    yield one
    for process in started:
        await process.board.close()
        await process.store.close()


@pytest.fixture
def away() -> str:
    return f"redis://127.0.0.1:{free_port()}"


@pytest.fixture
def minute_later(server: "redis.Redis", prefix: str) -> Callable[[], Any]:
    """Moves what Redis holds of the breaker a minute back."""
    return lambda: server.hincrby(redis_key(prefix, NAME), "until", -60_000)


async def test_acquire__healthy__asks_redis_once_in_a_while(
    start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BELIEVED_S", 3600.0)
    first, second = start(), start()
    assert await second.leave() == Pass(0)
    await first.board.report(NAME, Pass(0), Event.AUTH)
    assert await second.leave() == Pass(0)  # still believed closed
    second.board._views[NAME].fresh_until = 0.0
    assert (await second.rejected()).reason == "auth"


async def test_tell__five_failures__open_it_for_every_process(
    start: Callable[..., Process],
) -> None:
    first, second = start(), start()
    await first.fail(5)
    for process in (first, second):
        told = await process.rejected()
        assert (told.state, told.reason) == (BreakerState.OPEN, "5 failures in a row")
        assert process.board._views[NAME].state is BreakerState.OPEN
    assert first.reported == [OPENED]
    assert second.reported == []


async def test_tell__failures_from_two_processes__add_up(
    start: Callable[..., Process],
) -> None:
    first, second = start(), start()
    await first.fail(2)
    await second.fail(3)
    assert second.reported == [OPENED]
    look = await first.board.read(NAME)
    assert (look.state, look.completed, look.failures) == (BreakerState.OPEN, 5, 5)
    assert 53_000 < look.retry_ms <= 60_000


async def test_acquire__minute_over__one_process_probes_and_closes_for_all(
    start: Callable[..., Process], minute_later: Callable[[], Any]
) -> None:
    first, second = start(), start()
    await first.fail(5)
    minute_later()
    probe = await second.leave()
    assert probe == Pass(2, probe=True)
    assert (await first.rejected()).reason == "probing"
    second.board.report_success(NAME, probe)
    await second.board.close()
    assert second.reported == [
        PROBING,
        (NAME, BreakerState.HALF_OPEN, BreakerState.CLOSED, "probe succeeded"),
    ]
    # A gauge of the first process, in which both would be one here.
    gauge = BREAKER.labels(NAME.provider, NAME.model)
    gauge.set(2)
    assert await first.leave() == Pass(3)
    assert gauge._value.get() == 0


async def test_tell__probe_given_up_by_its_client__leaves_the_slot_free(
    start: Callable[..., Process], minute_later: Callable[[], Any]
) -> None:
    first, second = start(), start()
    await first.fail(5)
    minute_later()
    await first.board.report(NAME, await first.leave(), Event.RELEASED)
    assert await second.leave() == Pass(3, probe=True)


async def test_tell__retry_after__keeps_every_process_away(
    start: Callable[..., Process],
) -> None:
    first, second = start(), start()
    await first.board.report(NAME, await first.leave(), Event.THROTTLED, wait_s=3600)
    told = await second.rejected()
    assert (told.state, told.reason) == (BreakerState.CLOSED, "throttled")
    assert 0 < told.retry_ms <= 60_000
    assert 0 < (await second.board.read(NAME)).throttled_ms <= 60_000


async def test_ok__healthy__is_told_together_and_late(
    start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REPORT_AFTER_S", 0.001)
    process = start()
    leave = await process.leave()
    for _ in range(7):
        process.board.report_success(NAME, leave)
    async with asyncio.timeout(60):
        while (await process.board.read(NAME)).completed == 0:
            await asyncio.sleep(0)
    assert (await process.board.read(NAME)).completed == 7


async def test_ok__not_told_when_the_process_ends__is_told_by_close(
    start: Callable[..., Process],
) -> None:
    process = start()
    leave = await process.leave()
    process.board.report_success(NAME, leave)
    process.board.report_success(NAME, leave)
    await process.board.close()
    assert (await process.board.read(NAME)).completed == 2


async def test_ok__not_told_when_a_failure_is__goes_with_it(
    start: Callable[..., Process],
) -> None:
    process = start()
    leave = await process.leave()
    for _ in range(4):
        process.board.report_success(NAME, leave)
    await process.board.report(NAME, leave, Event.FAILURE)
    look = await process.board.read(NAME)
    assert (look.completed, look.failures) == (5, 1)
    await process.board.close()
    assert (await process.board.read(NAME)).completed == 5


async def test_ok__not_told_when_redis_is_asked_again__goes_first(
    start: Callable[..., Process],
) -> None:
    process = start()
    process.board.report_success(NAME, await process.leave())
    process.board._views[NAME].fresh_until = 0.0
    await process.leave()
    assert (await process.board.read(NAME)).completed == 1


async def test_ok__failing_breaker__is_told_at_once(
    start: Callable[..., Process],
) -> None:
    process = start()
    await process.fail(4)
    process.board.report_success(NAME, await process.leave())
    async with asyncio.timeout(60):
        while (await process.board.read(NAME)).completed < 5:
            await asyncio.sleep(0)
    await process.fail(4)
    assert process.reported == []


async def test_ok__of_an_older_generation__is_ignored(
    start: Callable[..., Process], minute_later: Callable[[], Any]
) -> None:
    process = start()
    old = await process.leave()
    await process.fail(5)
    minute_later()
    await process.board.report(NAME, await process.leave(), Event.OK)
    process.board.report_success(NAME, old)
    await process.board.report(NAME, old, Event.FAILURE)
    await process.board.close()
    assert (await process.board.read(NAME)).completed == 0


async def test_acquire__redis_away__is_decided_locally_by_the_same_rules(
    start: Callable[..., Process], away: str
) -> None:
    process = start(away)
    leave = await process.leave()
    assert leave == Pass(0, local=True)
    process.board.report_success(NAME, leave)
    async with asyncio.timeout(60):
        while (await process.board.read(NAME)).completed == 0:
            await asyncio.sleep(0)
    await process.fail(5)
    assert process.reported == [OPENED]
    assert (await process.rejected()).state is BreakerState.OPEN
    look = await process.board.read(NAME)
    assert (look.state, look.completed, look.failures) == (BreakerState.OPEN, 6, 5)
    process.board._views[NAME].machine.until -= 60_000
    assert await process.leave() == Pass(2, probe=True, local=True)


async def test_tell__redis_gone_between_asking_and_telling__counts_locally(
    start: Callable[..., Process], away: str
) -> None:
    process = start()
    leave = await process.leave()
    process.board.report_success(NAME, leave)
    process.board._store = Store(away, timeout_s=5, prefix="x")
    await process.board.report(NAME, leave, Event.FAILURE)
    look = await process.board.read(NAME)
    assert (look.completed, look.failures) == (2, 1)
    process.board.report_success(NAME, leave)
    await process.board.close()
    assert (await process.board.read(NAME)).completed == 3


async def test_acquire__redis_gone_with_successes_untold__passes_locally(
    start: Callable[..., Process], away: str
) -> None:
    process = start()
    process.board.report_success(NAME, await process.leave())
    process.board._views[NAME].fresh_until = 0.0
    process.board._store = Store(away, timeout_s=5, prefix="x")
    assert await process.leave() == Pass(0, local=True)


async def test_tell__redis_back_after_a_local_call__is_told_to_the_local_state(
    start: Callable[..., Process], away: str
) -> None:
    process = start(away)
    leave = await process.leave()
    process.board._store = Store(settings.REDIS_URL, timeout_s=5, prefix="y")
    await process.board.report(NAME, leave, Event.FAILURE)
    assert process.board._views[NAME].machine.consecutive == 1
    assert await process.leave() == Pass(0)
    await process.board._store.close()


async def test_free__a_process_that_died_probing__lets_the_next_one_probe(
    start: Callable[..., Process], minute_later: Callable[[], Any]
) -> None:
    dead, living = start(owner="dead"), start(owner="living")
    await dead.fail(5)
    minute_later()
    assert (await dead.leave()).probe
    assert (await living.rejected()).reason == "probing"
    await module.free(living.store, NAME, "living")
    await living.rejected()
    await module.free(living.store, NAME, "dead")
    assert (await living.leave()).probe
    # The probe is the living one's by now.
    await module.free(living.store, NAME, "dead")
    await dead.rejected()
