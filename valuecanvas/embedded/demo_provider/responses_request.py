"""The request of POST /v1/responses, read as if it were a chat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from valuecanvas.embedded.demo_provider.chat_request import (
    Asked,
    Message,
    Tool,
    chosen_tool,
    content_text,
    count,
    digest,
    load,
    model_name,
    prompt_tokens,
)
from valuecanvas.embedded.demo_provider.errors import RequestRefused


def read_responses(raw: bytes) -> Asked:
    """The request of POST /v1/responses. Raises RequestRefused."""
    body = load(raw)
    messages = (*_instructions(body.get("instructions")), *_input(body.get("input")))
    kind, schema = _text_format(body.get("text"))
    tools = _tools(body.get("tools"))
    return Asked(
        id=digest(raw),
        model=model_name(body),
        messages=messages,
        prompt_tokens=prompt_tokens(messages, body.get("tools")),
        stream=body.get("stream") is True,
        include_usage=True,
        limit=count(body.get("max_output_tokens"), "max_output_tokens"),
        tool=chosen_tool(tools, body.get("tool_choice"), messages),
        json=kind in ("json_object", "json_schema"),
        schema=schema,
    )


def _instructions(value: object) -> tuple[Message, ...]:
    return (Message("system", value),) if isinstance(value, str) and value else ()


def _input(value: object) -> tuple[Message, ...]:
    if isinstance(value, str) and value:
        return (Message("user", value),)
    if not isinstance(value, list) or not value:
        raise RequestRefused("input must not be empty.", param="input")
    return tuple(_item(item) for item in value)


def _item(item: object) -> Message:
    """A message, a function call of ours, or its result."""
    if not isinstance(item, dict):
        raise RequestRefused("input items must be objects.", param="input")
    if item.get("type") == "function_call_output":
        return Message("tool", str(item.get("output", "")))
    if item.get("type") == "function_call":
        return Message("assistant", f"{item.get('name')}{item.get('arguments')}")
    text, images = content_text(item.get("content"))
    return Message(str(item.get("role", "user")), text, images)


def _tools(value: object) -> tuple[Tool, ...]:
    if not isinstance(value, list):
        return ()
    functions = [t for t in value if isinstance(t, dict) and t.get("name")]
    return tuple(Tool(t["name"], t.get("parameters") or {}) for t in functions)


def _text_format(text: object) -> tuple[str | None, Mapping[str, Any] | None]:
    form = text.get("format") if isinstance(text, dict) else None
    if not isinstance(form, dict):
        return None, None
    schema = form.get("schema")
    return form.get("type"), schema if isinstance(schema, dict) else None
