"""POST /v1/responses: the answer as a response object or as its events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from valuecanvas.embedded.demo_provider import usage
from valuecanvas.embedded.demo_provider.answers import Answer, compose
from valuecanvas.embedded.demo_provider.behaviours import Behaviour
from valuecanvas.embedded.demo_provider.chat import CREATED
from valuecanvas.embedded.demo_provider.errors import RequestRefused
from valuecanvas.embedded.demo_provider.payload import (
    DONE,
    Frame,
    Order,
    Stream,
    Whole,
    framed,
)
from valuecanvas.embedded.demo_provider.responses_request import read_responses
from valuecanvas.embedded.demo_provider.state import Desk

Event = dict[str, Any]
# What a response repeats of its request; the demo provider heeds little of it.
_SETTINGS: dict[str, Any] = {
    "background": False,
    "frequency_penalty": 0,
    "instructions": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": False,
    "temperature": 1,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1,
    "truncation": "disabled",
}


def take(raw: bytes, desk: Desk) -> tuple[Order, Behaviour]:
    """Reads a responses request and answers it. Raises RequestRefused.

    Only models with the behaviour `responses` have this endpoint: most providers
    lack it, and 404 is what a gateway must cope with.
    """
    asked = read_responses(raw)
    behaviour = desk.behaviour(asked.model)
    if not behaviour.responses:
        raise RequestRefused("Unknown request URL: POST /v1/responses.", status=404)
    answer = compose(asked, behaviour)
    used = _usage(asked.prompt_tokens, answer.completion_tokens, behaviour)
    parcel = _stream(answer, used) if asked.stream else _whole(answer, used)
    return Order(asked.model, asked.prompt_tokens, parcel), behaviour


def _whole(answer: Answer, used: usage.Usage | None) -> Whole:
    body = orjson.dumps(_response(answer, used))
    return Whole(body, answer.completion_tokens, used)


def _stream(answer: Answer, used: usage.Usage | None) -> Stream:
    lead, content = 2 if answer.tool else 4, len(answer.pieces)
    half = b'event: response.output_text.delta\ndata: {"type":"response.out\n\n'
    return Stream(
        frames=_frames(answer, used),
        lead=lead,
        content=content,
        half=framed(half),
        error=_framed(_error(lead + content)),
        ending=DONE,
        usage=used,
    )


def _error(number: int) -> Event:
    """An error in the midst of an answer, with a number that no event before it has."""
    message = "The server had an error. (demo provider)"
    told = {"code": "server_error", "message": message, "param": None}
    inside = {**told, "type": "server_error"}
    return {"type": "error", "sequence_number": number, **told, "error": inside}


def _usage(prompt: int, completion: int, behaviour: Behaviour) -> usage.Usage | None:
    """The same report as for chat, under the names of this endpoint."""
    chat = usage.report(prompt, completion, behaviour)
    if chat is None:
        return None
    cached = chat["prompt_tokens_details"]["cached_tokens"]
    return {
        "input_tokens": chat["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": chat["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": chat["total_tokens"],
    }


def _response(answer: Answer, used: usage.Usage | None) -> dict[str, Any]:
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    reason = reasons.get(answer.finish)
    return {
        **_begun(answer),
        "status": "incomplete" if reason else "completed",
        "completed_at": None if reason else CREATED,
        "incomplete_details": {"reason": reason} if reason else None,
        "output": [_item(answer, "completed", answer.text)],
        "usage": used,
    }


def _begun(answer: Answer) -> dict[str, Any]:
    """The response object before there is any output."""
    return {
        "id": f"resp_{answer.asked.id}",
        "object": "response",
        "created_at": CREATED,
        "completed_at": None,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": answer.asked.model,
        "output": [],
        "usage": None,
        "max_output_tokens": answer.asked.limit,
        **_SETTINGS,
    }


def _item_id(answer: Answer) -> str:
    return f"{'fc' if answer.tool else 'msg'}_{answer.asked.id}"


def _item(answer: Answer, status: str, text: str) -> dict[str, Any]:
    """The one output item: a message or a function call."""
    item: dict[str, Any] = {"id": _item_id(answer), "status": status}
    if answer.tool:
        name, call_id = answer.tool.name, f"call_{answer.asked.id}"
        item |= {"type": "function_call", "call_id": call_id, "name": name}
        return item | {"arguments": text}
    content = [_part(text)] if status == "completed" else []
    return item | {"type": "message", "role": "assistant", "content": content}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _framed(event: Event) -> bytes:
    name = event["type"].encode()
    return framed(b"event: %b\ndata: %b\n\n" % (name, orjson.dumps(event)))


def _frames(answer: Answer, used: usage.Usage | None) -> Iterator[Frame]:
    for number, (event, tokens) in enumerate(_events(answer, used)):
        yield Frame(_framed({**event, "sequence_number": number}), tokens)


def _events(answer: Answer, used: usage.Usage | None) -> Iterator[tuple[Event, int]]:
    begun = _begun(answer)
    yield {"type": "response.created", "response": begun}, 0
    yield {"type": "response.in_progress", "response": begun}, 0
    yield from _call_events(answer) if answer.tool else _text_events(answer)
    done = _item(answer, "completed", answer.text)
    yield {"type": "response.output_item.done", "output_index": 0, "item": done}, 0
    response = _response(answer, used)
    yield {"type": f"response.{response['status']}", "response": response}, 0


def _added(answer: Answer) -> Event:
    item = _item(answer, "in_progress", "")
    return {"type": "response.output_item.added", "output_index": 0, "item": item}


def _text_events(answer: Answer) -> Iterator[tuple[Event, int]]:
    at = {"item_id": _item_id(answer), "output_index": 0, "content_index": 0}
    yield _added(answer), 0
    yield {"type": "response.content_part.added", **at, "part": _part("")}, 0
    for piece in answer.pieces:
        event = {"type": "response.output_text.delta", **at, "delta": piece}
        yield {**event, "logprobs": []}, 1
    done = {"type": "response.output_text.done", **at, "text": answer.text}
    yield {**done, "logprobs": []}, 0
    part = _part(answer.text)
    yield {"type": "response.content_part.done", **at, "part": part}, 0


def _call_events(answer: Answer) -> Iterator[tuple[Event, int]]:
    at = {"item_id": _item_id(answer), "output_index": 0}
    kind = "response.function_call_arguments"
    yield _added(answer), 1
    for piece in answer.pieces[1:]:
        yield {"type": f"{kind}.delta", **at, "delta": piece}, 1
    yield {"type": f"{kind}.done", **at, "arguments": answer.text}, 0
