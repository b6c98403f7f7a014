"""The one timer that looks after all that an answer sends."""

import asyncio
import time
from contextlib import suppress
from typing import Any

from tests.tcp import tcp_server
from valuecanvas.http.protocol.write_timeout import TimedSender, cut


class Client:
    """Accepts a message when the test allows it."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.lost = asyncio.Event()
        self.taken: list[Any] = []

    async def send(self, message: dict[str, Any]) -> None:
        await self.reads.wait()
        self.taken.append(message)


async def test_send__taken_at_once__sets_one_timer_for_all() -> None:
    client = Client()
    client.reads.set()
    sender = TimedSender(client.send, 60, client.lost.set)
    await sender.send({"n": 0})
    timer = sender._timer
    for number in range(1, 5):
        await sender.send({"n": number})
    assert sender._timer is timer
    assert len(client.taken) == 5
    sender.close()
    assert timer is not None
    assert timer.cancelled()


async def test_send__not_taken__loses_the_client() -> None:
    client = Client()
    sender = TimedSender(client.send, 0.01, client.lost.set)
    sending = asyncio.create_task(sender.send({}))
    await client.lost.wait()
    assert not sending.done()
    client.reads.set()
    await sending
    sender.close()


async def test_send__begun_after_the_timer_was_set__gets_its_whole_time() -> None:
    client = Client()
    client.reads.set()
    sender = TimedSender(client.send, 0.05, client.lost.set)
    await sender.send({})
    await asyncio.sleep(0.03)
    client.reads.clear()
    began = time.monotonic()
    sending = asyncio.create_task(sender.send({}))
    await client.lost.wait()
    assert time.monotonic() - began >= 0.049
    sending.cancel()
    sender.close()


async def test_send__deadline_is_near__is_lost_by_then() -> None:
    client = Client()
    sender = TimedSender(client.send, 3600, client.lost.set)
    sender.deadline = time.monotonic() + 0.01
    sending = asyncio.create_task(sender.send({}))
    await client.lost.wait()
    sending.cancel()
    sender.close()


async def test_close__between_messages__is_quiet() -> None:
    client = Client()
    client.reads.set()
    sender = TimedSender(client.send, 0.01, client.lost.set)
    await sender.send({})
    await asyncio.sleep(0.03)
    assert sender._timer is None
    await sender.send({})
    sender.close()
    sender.close()
    await asyncio.sleep(0.02)
    assert not client.lost.is_set()


async def test_cut__no_transport_to_be_had__says_so() -> None:
    assert not cut(Client().send)


async def test_cut__connection_with_unread_data__is_closed_at_once() -> None:
    class Cycle(Client):
        transport: asyncio.Transport

    cycle, served = Cycle(), asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cycle.transport = writer.transport  # type: ignore[assignment]
        # Far more than the kernel takes for a client that does not read.
        writer.write(b"x" * 50_000_000)
        served.set()
        await asyncio.Event().wait()  # it stays open

    async with tcp_server(serve) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        await served.wait()
        assert cycle.transport.get_write_buffer_size() > 0
        assert cut(cycle.send)
        assert cycle.transport.get_write_buffer_size() == 0
        with suppress(ConnectionResetError):
            assert len(await reader.read()) < 50_000_000
        writer.close()
