"""POST /v1/chat/completions: the answer as one body or as chunks."""

from collections.abc import Iterator
from typing import Any

import orjson

from valuecanvas.embedded.demo_provider import (
    answers,
    chat_request,
    payload,
    token_text,
)
from valuecanvas.embedded.demo_provider.answers import Answer
from valuecanvas.embedded.demo_provider.behaviours import Overrides
from valuecanvas.embedded.demo_provider.errors import error_body

# Fixed, so that equal requests get equal bytes.
CREATED = 1_735_689_600


def answer_chat(raw: bytes, overrides: Overrides) -> payload.DemoReply:
    """Reads a chat request and makes its answer. Raises RequestRefused."""
    request = chat_request.read_chat(chat_request.load_body(raw), raw)
    behaviour = overrides.behaviour(request.model)
    answer = answers.compose(request, behaviour)
    content = _stream(answer) if request.stream else _whole(answer)
    return payload.DemoReply(request.model, request.prompt_tokens, behaviour, content)


def _whole(answer: Answer) -> payload.Whole:
    """The answer as a `chat.completion` object."""
    choices = [
        {
            "index": index,
            "message": _message(answer, index),
            "logprobs": None,
            "finish_reason": answer.finish,
        }
        for index in range(answer.request.n)
    ]
    body = _object(answer, "chat.completion", choices)
    usage = answer.usage
    if usage is not None:
        body["usage"] = usage
    return payload.Whole(orjson.dumps(body), answer.completion_tokens, usage)


def _object(answer: Answer, kind: str, choices: list[Any]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{answer.request.id}",
        "object": kind,
        "created": CREATED,
        "model": answer.request.model,
        "system_fingerprint": "fp_demo",
        "choices": choices,
    }


def _message(answer: Answer, index: int) -> dict[str, Any]:
    content = None if answer.tool else answer.text
    message = {"role": "assistant", "content": content, "refusal": None}
    calls = {"tool_calls": [_call(answer, index, answer.text)]} if answer.tool else {}
    return {**message, **calls}


def _call(answer: Answer, index: int, arguments: str) -> dict[str, Any]:
    function = {"name": answer.pieces[0], "arguments": arguments}
    call_id = f"call_{answer.request.id}{index}"
    return {"id": call_id, "type": "function", "function": function}


def _stream(answer: Answer) -> payload.Stream:
    """The answer as `chat.completion.chunk` events, one for each token."""
    n, usage = answer.request.n, answer.usage
    return payload.Stream(
        frames=_frames(answer, usage),
        lead=n,
        content=n * len(answer.pieces),
        half=payload.sse(_chunk(answer, 0, {"content": ""})[:-40]),
        error=payload.sse(error_body(500)),
        usage=usage if answer.request.include_usage else None,
    )


def _chunk(
    answer: Answer, index: int, delta: dict[str, Any], finish: str | None = None
) -> bytes:
    choice = {
        "index": index,
        "delta": delta,
        "logprobs": None,
        "finish_reason": finish,
    }
    chunk = _object(answer, "chat.completion.chunk", [choice])
    if answer.request.include_usage:
        chunk["usage"] = None  # OpenAI sends this once usage was asked for
    return orjson.dumps(chunk)


def _frames(answer: Answer, usage: token_text.Usage | None) -> Iterator[payload.Frame]:
    indexes = range(answer.request.n)
    first = {"role": "assistant", "content": None if answer.tool else ""}
    for index in indexes:
        yield payload.sse(_chunk(answer, index, first)), 0
    yield from _content(answer)
    for index in indexes:
        yield payload.sse(_chunk(answer, index, {}, answer.finish)), 0
    if answer.request.include_usage and usage is not None:
        last = _object(answer, "chat.completion.chunk", []) | {"usage": usage}
        yield payload.sse(orjson.dumps(last)), 0


def _content(answer: Answer) -> Iterator[payload.Frame]:
    """One frame for each token and choice, the choices taking turns."""
    pieces, indexes = answer.pieces, range(answer.request.n)
    delta: dict[str, Any] = {"content": "\0"}
    if answer.tool and pieces:
        for index in indexes:
            call = {"index": 0, **_call(answer, index, "")}
            yield payload.sse(_chunk(answer, index, {"tool_calls": [call]})), 1
        pieces = pieces[1:]
        delta = {"tool_calls": [{"index": 0, "function": {"arguments": "\0"}}]}
    # Only the token differs between chunks, so they are concatenated.
    parts = [_chunk(answer, i, delta).rpartition(rb'"\u0000"') for i in indexes]
    ends = [(b"data: " + head, tail + b"\n\n") for head, _, tail in parts]
    for piece in pieces:
        token = orjson.dumps(piece)
        for head, tail in ends:
            size = len(head) + len(token) + len(tail)
            yield b"%x\r\n%b%b%b\r\n" % (size, head, token, tail), 1
