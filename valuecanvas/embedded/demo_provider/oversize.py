"""Bodies too big for anyone: made on the fly, so that we stay small ourselves."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import orjson

from valuecanvas.embedded.demo_provider.connection import Link
from valuecanvas.embedded.demo_provider.payload import DONE, Parcel, Stream, framed
from valuecanvas.embedded.demo_provider.usage import Usage

_WORD = b" demo"  # one token
_BLOCK_WORDS = 13_000
_JSON_BYTES = 100_000_000
_LINE_BYTES = 10_000_000
_PACKED_WORDS = 200_000
_JSON = {"Content-Type": "application/json"}
_DEFLATED = {**_JSON, "Content-Encoding": "deflate"}
_EVENTS = {"Content-Type": "text/event-stream"}


async def huge(link: Link, parcel: Parcel, size: int) -> None:
    """A chat answer of about `size` bytes (0: the usual), body or single SSE line."""
    if isinstance(parcel, Stream):
        await _huge_line(link, (size or _LINE_BYTES) // len(_WORD))
    else:
        await _huge_body(link, (size or _JSON_BYTES) // len(_WORD))
    link.visit.how = "done"


async def _huge_body(link: Link, words: int) -> None:
    head, tail = _around("chat.completion", "message", words)
    await link.begin(200, _JSON, len(head) + words * len(_WORD) + len(tail))
    await link.send(head)
    for count in _portions(words):
        await link.send(_WORD * count, count)
    await link.send(tail)
    link.visit.usage = _usage(words)
    await link.finish()


async def _huge_line(link: Link, words: int) -> None:
    head, tail = _around("chat.completion.chunk", "delta", words)
    await link.begin(200, _EVENTS)
    await link.send(framed(b"data: " + head))
    for count in _portions(words):
        await link.send(framed(_WORD * count), count)
    await link.send(framed(tail + b"\n\n"))
    await link.send(DONE)
    link.visit.usage = _usage(words)
    await link.finish()


async def bomb(link: Link, size: int) -> None:
    """A raw deflate body that unpacks to about `size` bytes of JSON."""
    repeats = size // (_PACKED_WORDS * len(_WORD))
    head, tail = _around("chat.completion", "message", repeats * _PACKED_WORDS)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    # A full flush forgets what came before, so one packed block can be repeated.
    block = packer.compress(_WORD * _PACKED_WORDS) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.compress(tail) + packer.flush()
    await link.begin(200, _DEFLATED, len(start) + repeats * len(block) + len(end))
    await link.send(start)
    for _ in range(repeats):
        await link.send(block, _PACKED_WORDS)
    await link.send(end)
    await link.finish()
    link.visit.how = "done"


def _portions(words: int) -> Iterator[int]:
    while words > 0:
        yield min(words, _BLOCK_WORDS)
        words -= _BLOCK_WORDS


def _usage(words: int) -> Usage:
    return {"prompt_tokens": 1, "completion_tokens": words, "total_tokens": words + 1}


def _around(kind: str, part: str, words: int) -> tuple[bytes, bytes]:
    """What stands before and after the content of an answer."""
    message = {"role": "assistant", "content": "\0"}
    answer = {
        "id": "chatcmpl-demo-huge",
        "object": kind,
        "created": 1_735_689_600,
        "model": "huge",
        "choices": [{"index": 0, part: message, "finish_reason": "stop"}],
        "usage": _usage(words),
    }
    head, tail = orjson.dumps(answer).split(rb"\u0000")
    return head, tail
