"""T14: exceptions that are no Exception, at every await of a request: all is settled."""

import asyncio
import functools
from collections.abc import AsyncIterator, Coroutine, Generator
from typing import Any

import pytest

from billing.models import Reservation
from llm import runtime
from llm.live_stream import LiveStream
from llm.runtime import Runtime
from llm.types import Call, StreamReply
from tests.demo_process import DemoProcess
from tests.faults.counts import either
from tests.faults.report import Case
from tests.invariants import assert_books_balance
from tests.live.world import Served, World
from valuecanvas.core.ids import uuid7
from valuecanvas.core.storage.store import StoreDown

STORM = [asyncio.CancelledError, GeneratorExit, SystemExit, MemoryError]
TIMES = either(2, 50)
SETTLED_S = 20.0


class Left(Exception):
    """The handler closes the stream before its end."""


class Ended(Exception):
    """The coroutine has returned; StopIteration may not leave a generator."""


class Struck:
    """Runs a coroutine, and throws `error` into it at its `at`-th suspension."""

    def __init__(
        self, work: Coroutine[Any, Any, None], at: int, error: type[BaseException]
    ) -> None:
        self._work = work
        self._at = at
        self._error = error
        self.struck = False

    def __await__(self) -> Generator[Any, Any, None]:
        steps = self._work.__await__()
        try:
            waiting = next(steps)
            while True:
                if self._at == 0:
                    self.struck = True
                    # What it waited for is given up, as by a cancellation.
                    if waiting is not None:
                        waiting.cancel()
                    waiting = steps.throw(self._error())
                self._at -= 1
                waiting = yield from _passed(steps, waiting)
        except (StopIteration, Ended):
            return
        finally:
            self._work.close()


def _passed(steps: Any, waiting: Any) -> Generator[Any, Any, Any]:
    """Wait as the task would; its cancellations go in too, and what became of the wait."""
    try:
        yield waiting
        go_on = functools.partial(next, steps)
    except (asyncio.CancelledError, StoreDown) as error:
        go_on = functools.partial(steps.throw, error)
    try:
        return go_on()
    except StopIteration as end:
        raise Ended from end


@pytest.fixture
async def gateway(
    transactional_db: None, demo_provider: DemoProcess
) -> AsyncIterator[tuple[Runtime, World]]:
    """The gateway in this very loop, so that its awaits can be reached."""
    world = World(demo_provider)
    it = await runtime.start()
    yield it, world
    await it.stop()
    world.close()


async def serve(
    gateway: Runtime,
    world: World,
    served: Served,
    *,
    stream: bool,
    leave_after: int | None = None,
) -> None:
    """One request as the lean handler serves it; `leave_after` so many parts."""
    text = f"storm {uuid7()}"
    call = Call(
        id=uuid7(),
        endpoint="chat",
        body={
            "model": served.model,
            "messages": [{"role": "user", "content": text}],
            "stream": stream,
        },
        authorization=f"Bearer {world.key}",
    )
    reply = await gateway.pipeline.run(call)
    if isinstance(reply, StreamReply):
        parts = 0
        try:
            async for _ in reply.parts:
                await asyncio.sleep(0)
                parts += 1
                if parts == leave_after:
                    # GeneratorExit, where the stream waits to go on.
                    raise Left
        finally:
            await reply.parts.aclose()


async def storm(
    gateway: Runtime, world: World, error: type[BaseException], *, stream: bool
) -> int:
    """Strike at the first await, at the second, ... until none is left; how many."""
    served = world.serve("drip@2ms:6")
    for at in range(1000):
        work = serve(gateway, world, served, stream=stream)
        struck = Struck(work, at, error)
        # A task of its own, as each request has: what it leaves behind hits no other.
        await asyncio.create_task(_survive(struck))
        if not struck.struck:
            return at
    raise AssertionError("It never ends.")


async def _survive(struck: Struck) -> None:
    try:
        await struck
    except BaseException:
        if not struck.struck:
            raise


async def leave(gateway: Runtime, world: World) -> int:
    """Close the stream after its first part, its second, ... ; how many there are."""
    served = world.serve("drip@2ms:6")
    for after in range(1, 1000):
        work = serve(gateway, world, served, stream=True, leave_after=after)
        try:
            await work
        except Left:
            continue
        return after
    raise AssertionError("It never ends.")


async def settled(world: World) -> None:
    """Until every reservation has ended. Raises TimeoutError."""
    async with asyncio.timeout(SETTLED_S):
        while world.db(Reservation.objects.count):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("error", STORM)
async def test_request__struck_at_each_await__leaves_nothing_reserved(
    gateway: tuple[Runtime, World],
    case: Case,
    error: type[BaseException],
    stream: bool,
) -> None:
    it, world = gateway
    awaits = 0
    for _ in range(TIMES):
        if stream and error is GeneratorExit:
            awaits = await leave(it, world)
        else:
            awaits = await storm(it, world, error, stream=stream)
        case.inject(error.__name__, awaits)
    case.runs = f"{TIMES} times at each of {awaits} awaits"
    assert awaits > 5
    await settled(world)
    world.db(assert_books_balance)


async def test_stream__settled_on_exceptions_only__is_seen_to_leak(
    gateway: tuple[Runtime, World], case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin with the guard off: what others did, `except Exception`."""

    async def careless(stream: LiveStream) -> None:
        stream._stream.close()

    monkeypatch.setattr(LiveStream, "_close", careless)
    it, world = gateway
    case.inject("CancelledError", await storm(it, world, asyncio.CancelledError, stream=True))  # fmt: skip
    await asyncio.sleep(0.2)
    leaked = world.db(Reservation.objects.count)
    case.figure("left reserved", leaked)
    assert leaked > 0
