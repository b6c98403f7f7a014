"""Sends an answer as its behaviour says: normally, slowly, cut, broken or huge."""

import asyncio
import zlib
from email.utils import formatdate
from itertools import islice
from time import time

import orjson

from tests.fault_provider.behaviours import Behaviour
from tests.fault_provider.client_connection import Connection
from tests.fault_provider.payload import DONE, Stream, Whole
from valuecanvas.embedded.demo_provider.errors import error_body
from valuecanvas.embedded.demo_provider.reply import JSON

_EVENTS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
_HTML = {"Content-Type": "text/html"}
_DEFLATED = {**JSON, "Content-Encoding": "deflate"}
_PAGE = b"<html><head><title>%d</title></head><body><h1>%d</h1></body></html>\n"
# A stream without pauses yields to other calls after this many chunks.
_TURN = 64
_DATE = "date:"
_WORD = " demo"  # one token


async def deliver(
    peer: Connection, answer: Whole | Stream, behaviour: Behaviour
) -> None:
    """Sends the answer. Raises ConnectionError if the client has disconnected."""
    if behaviour.delay:
        await asyncio.sleep(behaviour.delay)
    if behaviour.hang is not None:
        if behaviour.hang == "headers":
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            peer.transport().write(head)
        await _wait_until_client_leaves()
    outcome: str = behaviour.cut or "done"
    if behaviour.cut == "reset" and behaviour.after == 0:
        await peer.reset()
    elif substitute := _substitute(peer, behaviour):
        outcome, status, body, headers = substitute
        await peer.send_whole(status, body, headers)
    elif behaviour.huge:
        await _send_whole(peer, _huge_answer(behaviour.huge), behaviour)
    elif isinstance(answer, Stream):
        await _send_stream(peer, answer, behaviour)
    else:
        await _send_whole(peer, answer, behaviour)
    peer.call.outcome = outcome


async def _wait_until_client_leaves() -> None:
    await asyncio.Event().wait()  # aiohttp cancels it


def _substitute(
    peer: Connection, behaviour: Behaviour
) -> tuple[str, int, bytes, dict[str, str]] | None:
    """The response in place of the answer: its name, status, body and headers."""
    if status := behaviour.status:
        body, headers = _error_body(status, behaviour.code), _error_headers(behaviour)
        return f"status-{status}", status, body, headers
    if status := behaviour.html:
        return "html", status, _PAGE % (status, status), _HTML
    if behaviour.redirect:
        return "redirect", 307, b"", {"Location": peer.request.path}
    if behaviour.bomb:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = packer.compress(_huge_answer(behaviour.bomb).body) + packer.flush()
        return "done", 200, body, _DEFLATED
    return None


def _error_body(status: int, code: str | None) -> bytes:
    body = error_body(status)
    if code is None:
        return body
    error = orjson.loads(body)["error"] | {"code": code}
    # Only for billing OpenAI's `type` depends on the code.
    billing = {"type": code} if code == "insufficient_quota" else {}
    return orjson.dumps({"error": error | billing})


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
        await peer.send_whole(200, error_body(500), headers)
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
    endings = {"error_event": stream.error, "malformed": stream.half + DONE}
    if behaviour.cut is None:
        peer.call.usage = stream.usage
        await peer.send(DONE)
    elif behaviour.cut in endings:
        await peer.send(endings[behaviour.cut])
    await peer.finish()


def _frames_before_cut(stream: Stream, behaviour: Behaviour) -> int | None:
    """How many frames are sent before the cut, at most all before the finish."""
    if behaviour.cut is None:
        return None
    after = stream.content // 2 if behaviour.after is None else behaviour.after
    if behaviour.cut in ("error_event", "malformed"):
        after += stream.lead
    return min(after, stream.lead + stream.content)


async def _break_off(peer: Connection, cut: str) -> None:
    if cut == "stall":
        await _wait_until_client_leaves()
    if cut == "reset":
        await peer.reset()
    else:
        peer.transport().close()


def _huge_answer(size: int) -> Whole:
    """A chat answer with that many bytes of content."""
    words = size // len(_WORD)
    usage = {"prompt_tokens": 1, "completion_tokens": words, "total_tokens": words + 1}
    message = {"role": "assistant", "content": _WORD * words}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {"object": "chat.completion", "choices": [choice], "usage": usage}
    return Whole(orjson.dumps(answer), words, usage)
