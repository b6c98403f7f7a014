"""Delivers an answer the way its behaviour says: paced, cut, broken, huge or well."""

import asyncio
import zlib
from collections.abc import Iterator
from email.utils import formatdate
from itertools import islice
from time import time

import orjson

from valuecanvas.embedded.demo_provider import payload
from valuecanvas.embedded.demo_provider.behaviours import Behaviour
from valuecanvas.embedded.demo_provider.connection import Connection
from valuecanvas.embedded.demo_provider.payload import JSON, Stream, Whole

_EVENTS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
_HTML = {"Content-Type": "text/html"}
_DEFLATED = {**JSON, "Content-Encoding": "deflate"}
_PAGE = b"<html><head><title>%d</title></head><body><h1>%d</h1></body></html>\n"
# An unpaced stream lets the other calls have a turn after this many chunks.
_TURN = 64
_DATE = "date:"
_WORD = b" demo"  # one token
_BLOCK_WORDS = 13_000
_HUGE_BODY, _HUGE_LINE = 100_000_000, 10_000_000


async def deliver(
    peer: Connection, answer: Whole | Stream, behaviour: Behaviour
) -> None:
    """Sends the answer. Raises ConnectionError when the client is gone."""
    if behaviour.delay:
        await asyncio.sleep(behaviour.delay)
    outcome = await _send_fault(peer, behaviour)
    if outcome is None:
        if behaviour.bomb is not None or behaviour.huge is not None:
            await _send_huge(peer, behaviour, as_line=isinstance(answer, Stream))
        elif isinstance(answer, Stream):
            await _send_stream(peer, answer, behaviour)
        else:
            await _send_whole(peer, answer, behaviour)
        outcome = behaviour.cut or "done"
    peer.call.outcome = outcome


async def _send_fault(peer: Connection, behaviour: Behaviour) -> str | None:
    """Sends what comes in place of an answer, if anything; returns its name."""
    if behaviour.hang is not None:
        if behaviour.hang == "headers":
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            peer.transport().write(head)
        await asyncio.Event().wait()  # until the client leaves
    if behaviour.cut == "reset" and behaviour.after == 0:
        await peer.reset()
        return "reset"
    if behaviour.status is not None:
        body = payload.error_body(behaviour.status, code=behaviour.code)
        await peer.send_whole(behaviour.status, body, _error_headers(behaviour))
        return f"status-{behaviour.status}"
    if behaviour.html is not None:
        page = _PAGE % (behaviour.html, behaviour.html)
        await peer.send_whole(behaviour.html, page, _HTML)
        return "html"
    if behaviour.redirect:
        await peer.send_whole(307, b"", {"Location": peer.request.path})
        return "redirect"
    return None


def _error_headers(behaviour: Behaviour) -> dict[str, str]:
    value = behaviour.retry_after
    if value is None:
        return JSON
    if value.startswith(_DATE):
        seconds = int(value.removeprefix(_DATE))
        return {**JSON, "Retry-After": formatdate(time() + seconds, usegmt=True)}
    return {**JSON, "Retry-After": value.replace("_", " ")}


def _headers(usual: dict[str, str], behaviour: Behaviour) -> dict[str, str]:
    return {**usual, **{f"X-Filler-{i}": "demo" for i in range(behaviour.headers)}}


async def _send_whole(peer: Connection, whole: Whole, behaviour: Behaviour) -> None:
    headers, cut = _headers(JSON, behaviour), behaviour.cut
    half, half_tokens = whole.body[: len(whole.body) // 2], whole.tokens // 2
    if cut is None:
        peer.call.usage = whole.usage
        await peer.send_whole(200, whole.body, headers, whole.tokens)
    elif cut == "error_event":
        await peer.send_whole(200, payload.error_body(500), headers)
    elif cut == "malformed":
        await peer.send_whole(200, half, headers, half_tokens)
    else:
        await peer.begin(200, headers, len(whole.body))
        await peer.send(half, half_tokens)
        await _break_off(peer, cut)


async def _send_stream(peer: Connection, stream: Stream, behaviour: Behaviour) -> None:
    limit = _frames_before_cut(stream, behaviour)
    await peer.begin(200, _headers(_EVENTS, behaviour))
    for sent, (data, tokens) in enumerate(islice(stream.frames, limit)):
        if sent and behaviour.pause:
            await asyncio.sleep(behaviour.pause)
        elif sent % _TURN == _TURN - 1:
            await asyncio.sleep(0)
        await peer.send(data, tokens)
    if behaviour.cut in ("reset", "stall"):
        await _break_off(peer, behaviour.cut)
        return
    endings = {"error_event": stream.error, "malformed": stream.half + payload.DONE}
    if behaviour.cut is None:
        peer.call.usage = stream.usage
        await peer.send(payload.DONE)
    elif behaviour.cut in endings:
        await peer.send(endings[behaviour.cut])
    await peer.finish()


def _frames_before_cut(stream: Stream, behaviour: Behaviour) -> int | None:
    """How many frames go out before the cut; it comes before the finish at last."""
    if behaviour.cut is None:
        return None
    after = stream.content // 2 if behaviour.after is None else behaviour.after
    if behaviour.cut in ("error_event", "malformed"):
        after += stream.lead
    return min(after, stream.lead + stream.content)


async def _break_off(peer: Connection, cut: str) -> None:
    if cut == "stall":
        await asyncio.Event().wait()  # until the client leaves
    if cut == "reset":
        await peer.reset()
    else:
        peer.transport().close()


async def _send_huge(peer: Connection, behaviour: Behaviour, *, as_line: bool) -> None:
    """An answer of about that size: a body, a single SSE line, or a deflated body.

    It is made on the fly, so that we stay small ourselves.
    """
    size = behaviour.bomb or behaviour.huge or (_HUGE_LINE if as_line else _HUGE_BODY)
    words = size // len(_WORD)
    usage = {"prompt_tokens": 1, "completion_tokens": words, "total_tokens": words + 1}
    head, tail = _around_content("delta" if as_line else "message", usage)
    if as_line:
        head, tail = b"data: " + head, tail + b"\n\ndata: [DONE]\n\n"
    pieces = _pieces(head, words, tail)
    headers, length = _EVENTS if as_line else JSON, None
    if behaviour.bomb is not None:
        headers, pieces = _DEFLATED, _deflated(pieces)
    elif not as_line:
        length = len(head) + words * len(_WORD) + len(tail)
    await peer.begin(200, headers, length)
    for data, tokens in pieces:
        await peer.send(data if length else payload.framed(data), tokens)
    peer.call.usage = usage
    await peer.finish()


def _pieces(head: bytes, words: int, tail: bytes) -> Iterator[tuple[bytes, int]]:
    yield head, 0
    for sent in range(0, words, _BLOCK_WORDS):
        count = min(_BLOCK_WORDS, words - sent)
        yield _WORD * count, count
    yield tail, 0


def _deflated(pieces: Iterator[tuple[bytes, int]]) -> Iterator[tuple[bytes, int]]:
    """The pieces as a raw deflate body."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    for data, tokens in pieces:
        yield packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH), tokens
    yield packer.flush(), 0


def _around_content(part: str, usage: dict[str, int]) -> tuple[bytes, bytes]:
    """What stands before and after the content of a huge answer."""
    message = {"role": "assistant", "content": "\0"}
    answer = {
        "id": "chatcmpl-demo-huge",
        "object": "chat.completion" + (".chunk" if part == "delta" else ""),
        "created": 1_735_689_600,
        "model": "huge",
        "choices": [{"index": 0, part: message, "finish_reason": "stop"}],
        "usage": usage,
    }
    head, tail = orjson.dumps(answer).split(rb"\u0000")
    return head, tail
