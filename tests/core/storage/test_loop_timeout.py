"""The limit of a round trip while the event loop itself is late."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable

import pytest
import uvloop

from valuecanvas.core.storage import loop_timeout
from valuecanvas.core.storage.loop_timeout import LoopTimeout

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


async def ask_while_busy(block_s: float) -> bytes:
    """The answer of a peer that is never late itself: it has a thread of its own."""
    ours, theirs = socket.socketpair()
    peer = threading.Thread(target=lambda: theirs.sendall(theirs.recv(100)))
    peer.start()
    reader, writer = await asyncio.open_connection(sock=ours)
    try:
        async with LoopTimeout(0.1):
            writer.write(b"hello\n")
            # As many callbacks of other requests do.
            asyncio.get_running_loop().call_soon(time.sleep, block_s)
            return await reader.readline()
    finally:
        writer.close()
        await writer.wait_closed()
        peer.join()
        theirs.close()


@pytest.mark.parametrize("make_loop", LOOPS)
def test_limit__loop_is_busy_while_the_answer_comes__is_read(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with asyncio.Runner(loop_factory=make_loop) as runner:
        assert runner.run(ask_while_busy(0.5)) == b"hello\n"


@pytest.mark.parametrize("make_loop", LOOPS)
def test_limit__peer_is_silent__times_out(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def wait() -> None:
        async with LoopTimeout(0.05):
            await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=make_loop) as runner, pytest.raises(TimeoutError):
        runner.run(wait())


async def test_limit__peer_is_silent_and_the_loop_always_late__times_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop_timeout, "BUSY_S", -1.0)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with LoopTimeout(0.05):
            await asyncio.Event().wait()
    assert time.monotonic() - began >= 0.05 * loop_timeout.MOST_TIMES


async def test_limit__answer_in_time__leaves_no_timer() -> None:
    async with LoopTimeout(0.01):
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)


async def test_limit__cancelled_from_outside__is_cancelled() -> None:
    async def wait() -> None:
        async with LoopTimeout(60):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
