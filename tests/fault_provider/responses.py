"""POST /v1/responses: the answer as a response object or as its events."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from tests.fault_provider import answers, payload
from tests.fault_provider.behaviours import NotServed, Overrides
from valuecanvas.embedded.demo_provider import token_text
from valuecanvas.embedded.demo_provider.answers import Answer
from valuecanvas.embedded.demo_provider.chat import CREATED
from valuecanvas.embedded.demo_provider.chat_request import (
    as_dict,
    as_list,
    load_body,
    read_chat,
)
from valuecanvas.embedded.demo_provider.errors import RequestRefused

Event = dict[str, Any]
# Fields that a response repeats from its request; the demo provider ignores most.
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
_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}


def answer_responses(raw: bytes, overrides: Overrides) -> payload.FaultReply:
    """Reads a responses request and answers it. Raises RequestRefused.

    Only models with the behaviour `responses` have this endpoint: most providers lack
    it, and a gateway must handle their 404.
    """
    request = read_chat(_as_chat(load_body(raw)), raw)
    behaviour = overrides.behaviour(request.model)
    if not behaviour.responses:
        message = "Unknown request URL: POST /v1/responses."
        raise NotServed(message)
    answer = answers.compose(request, behaviour)
    content = _stream(answer) if request.stream else _whole(answer)
    return payload.FaultReply(request.model, request.prompt_tokens, behaviour, content)


def _as_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """The equivalent chat request body."""
    items = body.get("input")
    if isinstance(items, str) and items:
        items = [{"content": items}]
    if not as_list(items):
        raise RequestRefused("input must not be empty.", param="input")
    form = as_dict(as_dict(body.get("text")).get("format"))
    system = {"role": "system", "content": body.get("instructions")}
    return {
        "model": body.get("model"),
        "messages": [system, *(_as_message(item) for item in as_list(items))],
        "tools": [{"function": tool} for tool in as_list(body.get("tools"))],
        "tool_choice": body.get("tool_choice"),
        "response_format": {"type": form.get("type"), "json_schema": form},
        "max_tokens": body.get("max_output_tokens"),
        "stream": body.get("stream"),
        "stream_options": {"include_usage": True},
    }


def _as_message(item: Any) -> Any:
    """An input item as a message: a message, a function call, or its result."""
    kind = as_dict(item).get("type")
    if kind == "function_call_output":
        return {"role": "tool", "content": str(item.get("output", ""))}
    if kind == "function_call":
        content = f"{item.get('name')}{item.get('arguments')}"
        return {"role": "assistant", "content": content}
    return {"role": "user", **item} if isinstance(item, dict) else item


def _usage(answer: Answer) -> token_text.Usage | None:
    """The same report as for chat, under the names of this endpoint."""
    chat = answer.usage
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


def _whole(answer: Answer) -> payload.Whole:
    body = orjson.dumps(_response(answer))
    return payload.Whole(body, answer.completion_tokens, _usage(answer))


def _stream(answer: Answer) -> payload.Stream:
    lead, content = 2 if answer.tool else 4, len(answer.pieces)
    error = {"code": "server_error", "message": "(demo provider)", "param": None}
    # Its number is higher than that of any earlier event.
    event = {"type": "error", "sequence_number": lead + content, **error}
    return payload.Stream(
        frames=_frames(answer),
        lead=lead,
        content=content,
        half=payload.sse(b'{"type":"response.out', name=b"response.output_text.delta"),
        error=_framed(event | {"error": {**error, "type": "server_error"}}),
        usage=_usage(answer),
    )


def _framed(event: Event) -> bytes:
    return payload.sse(orjson.dumps(event), name=event["type"].encode())


def _frames(answer: Answer) -> Iterator[payload.Frame]:
    for number, (event, count) in enumerate(_events(answer)):
        yield _framed({**event, "sequence_number": number}), count


def _events(answer: Answer) -> Iterator[tuple[Event, int]]:
    """The events in order, each with the tokens it carries."""
    begun = _response_begun(answer)
    yield {"type": "response.created", "response": begun}, 0
    yield {"type": "response.in_progress", "response": begun}, 0
    added = {"output_index": 0, "item": _item(answer, done=False)}
    yield {"type": "response.output_item.added", **added}, int(bool(answer.tool))
    yield from _call_events(answer) if answer.tool else _text_events(answer)
    done = {"output_index": 0, "item": _item(answer, done=True)}
    yield {"type": "response.output_item.done", **done}, 0
    response = _response(answer)
    yield {"type": f"response.{response['status']}", "response": response}, 0


def _text_events(answer: Answer) -> Iterator[tuple[Event, int]]:
    at = {"item_id": _item_id(answer), "output_index": 0, "content_index": 0}
    kind = "response.output_text"
    yield {"type": "response.content_part.added", **at, "part": _part("")}, 0
    for piece in answer.pieces:
        yield {"type": f"{kind}.delta", **at, "delta": piece, "logprobs": []}, 1
    yield {"type": f"{kind}.done", **at, "text": answer.text, "logprobs": []}, 0
    yield {"type": "response.content_part.done", **at, "part": _part(answer.text)}, 0


def _call_events(answer: Answer) -> Iterator[tuple[Event, int]]:
    at = {"item_id": _item_id(answer), "output_index": 0}
    kind = "response.function_call_arguments"
    for piece in answer.pieces[1:]:
        yield {"type": f"{kind}.delta", **at, "delta": piece}, 1
    yield {"type": f"{kind}.done", **at, "arguments": answer.text}, 0


def _response_begun(answer: Answer) -> dict[str, Any]:
    """The response object before there is any output."""
    return {
        "id": f"resp_{answer.request.id}",
        "object": "response",
        "created_at": CREATED,
        "completed_at": None,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": answer.request.model,
        "output": [],
        "usage": None,
        "max_output_tokens": answer.request.limit,
        **_SETTINGS,
    }


def _response(answer: Answer) -> dict[str, Any]:
    reason = _REASONS.get(answer.finish)
    return {
        **_response_begun(answer),
        "status": "incomplete" if reason else "completed",
        "completed_at": None if reason else CREATED,
        "incomplete_details": {"reason": reason} if reason else None,
        "output": [_item(answer, done=True)],
        "usage": _usage(answer),
    }


def _item(answer: Answer, *, done: bool) -> dict[str, Any]:
    """The one output item, a message or a function call; empty until it is done."""
    status = "completed" if done else "in_progress"
    item: dict[str, Any] = {"id": _item_id(answer), "status": status}
    if answer.tool:
        name, call_id = answer.tool["name"], f"call_{answer.request.id}"
        item |= {"type": "function_call", "call_id": call_id, "name": name}
        return item | {"arguments": answer.text if done else ""}
    content = [_part(answer.text)] if done else []
    return item | {"type": "message", "role": "assistant", "content": content}


def _item_id(answer: Answer) -> str:
    return f"{'fc' if answer.tool else 'msg'}_{answer.request.id}"


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
