"""Where a cut body breaks off, however its bytes arrive."""

import asyncio

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol

from llm.chaos.cut import BytePoint, CutContent, CutPoint, EventPoint

ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
PING = b": ping\n\n"
DONE = b"data: [DONE]\n\n"


def content(text: str) -> bytes:
    return b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % text.encode()


async def read(parts: list[bytes], point: CutPoint) -> tuple[bytes, int, bool]:
    """What passed, how often a cut was told, and whether it ended by an error."""
    loop = asyncio.get_running_loop()
    source = aiohttp.StreamReader(BaseProtocol(loop), limit=2**20, loop=loop)
    cuts: list[None] = []
    body = CutContent(source, point, lambda: cuts.append(None))
    passed = b""
    for part in [*parts, b""]:
        if part:
            source.feed_data(part)
        else:
            source.feed_eof()
        try:
            got = await body.readany()
        except aiohttp.ClientPayloadError:
            assert body.exception() is not None
            assert not body.at_eof()
            return passed, len(cuts), True
        passed += got
    return passed, len(cuts), False


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
async def test_events__in_parts_of_any_size__are_counted_by_content(
    size: int, end: bytes
) -> None:
    stream = ROLE + PING + content("a") + PING + content("b") + content("c") + DONE
    wanted = ROLE + PING + content("a") + PING + content("b")
    stream, wanted = stream.replace(b"\n", end), wanted.replace(b"\n", end)
    parts = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert await read(parts, EventPoint(2)) == (wanted, 1, True)


@pytest.mark.parametrize(
    "event",
    [
        b'event: response.output_text.delta\ndata: {"type":"x","delta":"Hi"}\n\n',
        b'data: {"choices":[{"text": "Hi"}]}\n\n',
        b'data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{"}}]}}]}\n\n',
        b'data: {"choices":[{"delta":{"reasoning_content":"Hm"}}]}\n\n',
    ],
)
async def test_event__with_content_of_any_format__is_counted(event: bytes) -> None:
    assert await read([event * 3], EventPoint(1)) == (event, 1, True)


@pytest.mark.parametrize("point", [EventPoint(0), BytePoint(0)])
async def test_cut__after_nothing__passes_nothing(point: CutPoint) -> None:
    assert await read([content("a")], point) == (b"", 1, True)


@pytest.mark.parametrize("size", [1, 3, 100])
async def test_bytes__in_parts_of_any_size__are_counted(size: int) -> None:
    whole = b"0123456789"
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    assert await read(parts, BytePoint(7)) == (b"0123456", 1, True)


@pytest.mark.parametrize("point", [EventPoint(3), BytePoint(1000)])
async def test_body__that_ends_before_the_point__is_whole(point: CutPoint) -> None:
    stream = content("a") + content("b") + DONE
    assert await read([stream], point) == (stream, 0, False)


async def test_burst__that_reaches_the_point__is_passed_before_the_error() -> None:
    """As the reader of streams asks: `exception` before `read_nowait`."""
    loop = asyncio.get_running_loop()
    source = aiohttp.StreamReader(BaseProtocol(loop), limit=2**20, loop=loop)
    body = CutContent(source, BytePoint(4), lambda: None)
    source.feed_data(b"ab")
    assert await body.readany() == b"ab"
    assert body.exception() is None
    source.feed_data(b"cdef")
    assert body.read_nowait() == b"cd"
    assert body.exception() is not None
    with pytest.raises(aiohttp.ClientPayloadError):
        body.read_nowait()
