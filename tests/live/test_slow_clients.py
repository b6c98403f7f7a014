"""Clients that do not read what they are sent: cut in time, billed, and on the books."""

import asyncio
import socket
import time
from contextlib import suppress
from typing import Any

import orjson
import pytest
from pytest_django import Settings

from llm.breaker.types import Name
from llm.replies import http_responses
from llm.runtime import Runtime
from llm.types import Call, StreamReply
from tests.live.inside import CHAT, DONE, Exchange, chat_body, chunk, upstream
from tests.live.wire import head
from tests.live.world import World
from valuecanvas.core.ids import uuid7

pytestmark = pytest.mark.live

HELLO, END = chunk(content="Hello."), chunk()
# More than all buffers between a provider and a client hold.
FLOOD = [chunk(content="word " * 12_000)] * 250


class Unread(Exchange):
    """Its client reads the first part of the body, and no more."""

    async def send(self, message: dict[str, Any]) -> None:
        if self.body:
            await asyncio.Event().wait()
        await super().send(message)


async def test_stream__client_stops_reading__is_cut_at_its_deadline_and_billed(
    world: World,
) -> None:
    async with upstream(*FLOOD, END, DONE) as url:
        served = world.serve_at(
            (url, "m"), total_stream_s=4, first_token_s=2, between_tokens_s=2
        )
        body = chat_body(served.model, stream=True)
        client = socket.socket()
        # Before it connects, or the kernel takes far more.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", world.port))
        reader, writer = await asyncio.open_connection(sock=client, limit=1024)
        writer.write(head(CHAT, world.key, len(body)) + body)
        await reader.readuntil(b"\r\n\r\n")
        [row] = await asyncio.to_thread(world.eventually, world.rows_now)
        # The connection is gone as well: the rest was not kept for the client.
        tail = b""
        with suppress(ConnectionResetError):
            while more := await reader.read(65_536):
                tail = (tail + more)[-100:]
        assert DONE not in tail
        writer.transport.abort()
    assert (row.status, row.error_code) == ("client_gone", "client_gone")
    assert row.completion_tokens > 1000
    assert row.cost_usd > 0
    assert world.reserved() == 0


async def test_stream__part_left_unread_too_long__ends_as_a_client_that_left(
    indoors: World, gateway: Runtime, settings: Settings
) -> None:
    settings.LLM_SEND_TIMEOUT_S = 0.05
    async with upstream(HELLO, 0.02, HELLO, 20.0) as url:
        served = indoors.serve_at((url, "m"))
        body = chat_body(served.model, stream=True)
        await Unread(gateway, CHAT, body, key=indoors.key).start()
        [row] = await asyncio.to_thread(indoors.eventually, indoors.rows_now)
    assert row.status == "client_gone"
    assert indoors.reserved() == 0


async def test_stream__time_went_by_while_the_client_read__provider_is_not_blamed(
    indoors: World, gateway: Runtime
) -> None:
    async with upstream(HELLO, 0.05, HELLO, 20.0) as url:
        served = indoors.serve_at((url, "m"))
        call = Call(
            id=uuid7(),
            endpoint="chat",
            body=orjson.loads(chat_body(served.model, stream=True)),
            authorization=f"Bearer {indoors.key}",
        )
        reply = await gateway.pipeline.run(call)
        assert isinstance(reply, StreamReply)
        parts: Any = reply.parts
        assert b"Hello." in await anext(parts)
        parts._attempts.deadline = time.monotonic()
        assert b"took longer than it may" in await anext(parts)
        assert parts.over
        await parts.aclose()
    row = await asyncio.to_thread(indoors.usage, str(call.id))
    assert (row.status, row.error_code) == ("interrupted", "stream_interrupted")
    look = await gateway.board.read(Name(served.providers[0], "m"))
    assert look.failures == 0


async def test_whole_answer__large_and_unread__frees_its_slot(
    indoors: World, gateway: Runtime, settings: Settings
) -> None:
    settings.LLM_SEND_TIMEOUT_S = 0.05
    served = indoors.serve("huge@300KB")
    body = chat_body(served.model)
    exchange = Unread(gateway, CHAT, body, key=indoors.key)
    await exchange.start()
    assert len(exchange.body) == http_responses.PIECE_BYTES
    assert indoors.reserved() == 0
    assert [row.status for row in indoors.usage_rows()] == ["ok"]


async def test_whole_answer__large__comes_in_pieces(
    indoors: World, gateway: Runtime
) -> None:
    served = indoors.serve("huge@300KB")
    body = chat_body(served.model)
    exchange = Exchange(gateway, CHAT, body, key=indoors.key)
    answer = await exchange.run()
    assert int(answer.headers["content-length"]) == len(answer.body) > 300_000
    assert answer.json["choices"]
    pieces = exchange.sent[1:]
    assert max(len(one["body"]) for one in pieces) == http_responses.PIECE_BYTES
    assert [one["more_body"] for one in pieces] == [True] * (len(pieces) - 1) + [False]
