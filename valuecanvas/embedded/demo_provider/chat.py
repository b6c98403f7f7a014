"""POST /v1/chat/completions: the answer as one body or as chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from valuecanvas.embedded.demo_provider import usage
from valuecanvas.embedded.demo_provider.answers import Answer, compose
from valuecanvas.embedded.demo_provider.behaviours import Behaviour
from valuecanvas.embedded.demo_provider.chat_request import read_chat
from valuecanvas.embedded.demo_provider.payload import (
    DONE,
    STREAM_ERROR,
    Frame,
    Order,
    Stream,
    Whole,
    sse,
)
from valuecanvas.embedded.demo_provider.state import Desk

# Fixed, so that equal requests get equal bytes.
CREATED = 1_735_689_600
FINGERPRINT = "fp_demo"


def take(raw: bytes, desk: Desk) -> tuple[Order, Behaviour]:
    """Reads a chat request and makes its answer. Raises RequestRefused."""
    asked = read_chat(raw)
    behaviour = desk.behaviour(asked.model)
    answer = compose(asked, behaviour)
    used = usage.report(asked.prompt_tokens, answer.completion_tokens, behaviour)
    parcel = stream(answer, used) if asked.stream else whole(answer, used)
    return Order(asked.model, asked.prompt_tokens, parcel), behaviour


def whole(answer: Answer, used: usage.Usage | None) -> Whole:
    """The answer as a `chat.completion` object."""
    asked = answer.asked
    body: dict[str, Any] = {
        "id": f"chatcmpl-{asked.id}",
        "object": "chat.completion",
        "created": CREATED,
        "model": asked.model,
        "choices": [
            {
                "index": index,
                "message": _message(answer, index),
                "logprobs": None,
                "finish_reason": answer.finish,
            }
            for index in range(asked.n)
        ],
        "system_fingerprint": FINGERPRINT,
    }
    if used is not None:
        body["usage"] = used
    return Whole(orjson.dumps(body), answer.completion_tokens, used)


def stream(answer: Answer, used: usage.Usage | None) -> Stream:
    """The answer as `chat.completion.chunk` events, one for each token."""
    n = answer.asked.n
    return Stream(
        frames=_frames(answer, used),
        lead=n,
        content=n * len(answer.pieces),
        half=sse(_Chunks(answer).opening(0) + b'"cont'),
        error=sse(STREAM_ERROR),
        ending=DONE,
        usage=used if answer.asked.include_usage else None,
    )


def _message(answer: Answer, index: int) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if answer.tool else answer.text,
        "refusal": None,
    }
    if answer.tool:
        message["tool_calls"] = [_call(answer, index, answer.text)]
    return message


def _call(answer: Answer, index: int, arguments: str) -> dict[str, Any]:
    function = {"name": answer.pieces[0], "arguments": arguments}
    call_id = f"call_{answer.asked.id}{index}"
    return {"id": call_id, "type": "function", "function": function}


class _Chunks:
    """Makes chunks by gluing, since only the token differs from one to the next."""

    def __init__(self, answer: Answer) -> None:
        asked = answer.asked
        self._head = (
            b'{"id":"chatcmpl-%b","object":"chat.completion.chunk","created":%d,'
            b'"model":%b,"system_fingerprint":"%b",'
        ) % (
            asked.id.encode(),
            CREATED,
            orjson.dumps(asked.model),
            FINGERPRINT.encode(),
        )
        # OpenAI sends `"usage": null` on every chunk once usage was asked for.
        self._null_usage = b',"usage":null' if asked.include_usage else b""

    def opening(self, index: int) -> bytes:
        """A chunk up to the value of `delta`."""
        return self._head + b'"choices":[{"index":%d,"delta":{' % index

    def closing(self, finish: str | None = None) -> bytes:
        """The rest of a chunk after the value of `delta`."""
        reason = orjson.dumps(finish)
        return b',"logprobs":null,"finish_reason":%b}]%b}' % (reason, self._null_usage)

    def around(self, index: int, delta: dict[str, Any], finish: str | None) -> bytes:
        """A whole chunk with this `delta`."""
        inner = orjson.dumps(delta)[1:]
        return self.opening(index) + inner + self.closing(finish)

    def usage(self, used: usage.Usage) -> bytes:
        """The chunk without choices that reports usage."""
        return self._head + b'"choices":[],"usage":%b}' % orjson.dumps(used)


def _frames(answer: Answer, used: usage.Usage | None) -> Iterator[Frame]:
    chunks = _Chunks(answer)
    n = answer.asked.n
    first = {"role": "assistant", "content": None if answer.tool else ""}
    for index in range(n):
        yield Frame(sse(chunks.around(index, first, None)), 0)
    yield from _content(answer, chunks)
    for index in range(n):
        yield Frame(sse(chunks.around(index, {}, answer.finish)), 0)
    if answer.asked.include_usage and used is not None:
        yield Frame(sse(chunks.usage(used)), 0)


def _content(answer: Answer, chunks: _Chunks) -> Iterator[Frame]:
    """One frame for each token and choice, the choices taking turns."""
    pieces = answer.pieces
    before, after = b'"content":', b"}"
    if answer.tool and pieces:
        for index in range(answer.asked.n):
            call = {"index": 0, **_call(answer, index, "")}
            data = chunks.around(index, {"tool_calls": [call]}, None)
            yield Frame(sse(data), 1)
        pieces = pieces[1:]
        before = b'"tool_calls":[{"index":0,"function":{"arguments":'
        after = b"}}]}"
    heads = [b"data: " + chunks.opening(i) + before for i in range(answer.asked.n)]
    tail = after + chunks.closing() + b"\n\n"
    for piece in pieces:
        token = orjson.dumps(piece)
        for head in heads:
            size = len(head) + len(token) + len(tail)
            yield Frame(b"%x\r\n%b%b%b\r\n" % (size, head, token, tail), 1)
