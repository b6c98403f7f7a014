"""POST /v1/chat/completions: the answer as one body or as chunks."""

from collections.abc import Iterator
from typing import Any

import orjson

from valuecanvas.embedded.demo_provider.answers import Answer, compose
from valuecanvas.embedded.demo_provider.chat_request import load_body, read_chat
from valuecanvas.embedded.demo_provider.reply import DemoReply, sse

# Fixed, so that equal requests get equal bytes.
CREATED = 1_735_689_600


def answer_chat(raw: bytes) -> DemoReply:
    """Reads a chat request and makes its answer. Raises RequestRefused."""
    request = read_chat(load_body(raw), raw)
    answer = compose(request)
    if request.stream:
        return DemoReply(request.model, events=events(answer))
    return DemoReply(request.model, orjson.dumps(completion(answer)))


def completion(answer: Answer) -> dict[str, Any]:
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
    return body if answer.usage is None else {**body, "usage": answer.usage}


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


def chunk(
    answer: Answer, index: int, delta: dict[str, Any], finish: str | None = None
) -> bytes:
    """The event that adds `delta` to a choice."""
    choice = {
        "index": index,
        "delta": delta,
        "logprobs": None,
        "finish_reason": finish,
    }
    body = _object(answer, "chat.completion.chunk", [choice])
    if answer.request.include_usage:
        body["usage"] = None  # OpenAI sends this once usage was asked for
    return sse(orjson.dumps(body))


def events(answer: Answer) -> Iterator[bytes]:
    """The answer as `chat.completion.chunk` events, one for each token and choice."""
    indexes = range(answer.request.n)
    first = {"role": "assistant", "content": None if answer.tool else ""}
    for index in indexes:
        yield chunk(answer, index, first)
    for number in range(len(answer.pieces)):  # the choices take turns
        for index in indexes:
            yield chunk(answer, index, _delta(answer, index, number))
    for index in indexes:
        yield chunk(answer, index, {}, answer.finish)
    if answer.request.include_usage and answer.usage is not None:
        last = _object(answer, "chat.completion.chunk", [])
        yield sse(orjson.dumps(last | {"usage": answer.usage}))


def _delta(answer: Answer, index: int, number: int) -> dict[str, Any]:
    """What the answer's piece of that number adds."""
    piece = answer.pieces[number]
    if not answer.tool:
        return {"content": piece}
    if number == 0:
        return {"tool_calls": [{"index": 0, **_call(answer, index, "")}]}
    return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
