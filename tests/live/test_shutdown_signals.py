"""Who handles which signal, and who does not."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytest
from pytest_django import Settings

from valuecanvas.http.shutdown import SIGNALS, Shutdown


class Server:
    """Notes what its own handler was told, as uvicorn's would."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.heard = asyncio.Event()

    def handle(self, number: int, frame: FrameType | None) -> None:
        self.told.append(number)
        self.heard.set()


@pytest.fixture
def restored() -> Iterator[None]:
    """The signals are the test run's own again."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
async def server(restored: None, settings: Settings) -> Server:
    settings.SHUTDOWN_GRACE_S = settings.SHUTDOWN_STREAMS_S = 0.05
    made = Server()
    for number in SIGNALS:
        signal.signal(number, made.handle)
    return made


async def test_sigterm__first__drains_then_tells_the_server_then_ends_streams(
    server: Server,
) -> None:
    ended = asyncio.Event()

    def end_streams() -> int:
        assert server.told == [signal.SIGTERM]
        ended.set()
        return 0

    shutdown = Shutdown(end_streams)
    shutdown.install()
    assert not shutdown.draining
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0)
    assert shutdown.draining
    assert server.told == []
    await server.heard.wait()
    assert not ended.is_set()
    await ended.wait()


async def test_sigterm__second__is_the_servers_at_once(
    server: Server, settings: Settings
) -> None:
    settings.SHUTDOWN_GRACE_S = 60
    Shutdown(lambda: 0).install()
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
    assert server.told == [signal.SIGTERM]


async def test_sigint__somebody_waits_at_a_keyboard__is_the_servers_at_once(
    server: Server,
) -> None:
    shutdown = Shutdown(lambda: 0)
    shutdown.install()
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(0)
    assert server.told == [signal.SIGINT]
    assert not shutdown.draining


async def test_install__nobody_handles_a_signal__leaves_it_alone(
    server: Server,
) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    Shutdown(lambda: 0).install()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_install__in_another_thread__leaves_all_alone(server: Server) -> None:
    async def install() -> None:
        Shutdown(lambda: 0).install()

    thread = threading.Thread(target=lambda: asyncio.run(install()))
    thread.start()
    thread.join()
    assert [signal.getsignal(number) for number in SIGNALS] == [server.handle] * 2
