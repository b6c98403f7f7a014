"""A chat request as the demo provider reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from valuecanvas.embedded.demo_provider import tokens
from valuecanvas.embedded.demo_provider.errors import RequestRefused

IMAGE_TOKENS = 85
MOST_CHOICES = 128


@dataclass(frozen=True, slots=True)
class Message:
    """One message, its text joined and its images counted."""

    role: str
    text: str
    images: int = 0


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call, with the JSON Schema of its arguments."""

    name: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a chat request (or a translated one) asks for."""

    id: str
    model: str
    messages: tuple[Message, ...]
    prompt_tokens: int
    stream: bool = False
    include_usage: bool = False
    limit: int | None = None
    n: int = 1
    stop: tuple[str, ...] = ()
    tool: Tool | None = None
    json: bool = False
    schema: Mapping[str, Any] | None = None

    @property
    def last_user(self) -> Message:
        """The last message of the user, or an empty one."""
        for message in reversed(self.messages):
            if message.role == "user":
                return message
        return Message("user", "")


def digest(raw: bytes) -> str:
    """The hash that makes ids of a request body: same body, same ids."""
    return blake2b(raw, digest_size=12).hexdigest()


def load(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`. Raises RequestRefused if it is none."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RequestRefused(f"The body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise RequestRefused("The body must be a JSON object.")
    return body


def read_chat(raw: bytes) -> Asked:
    """The request of POST /v1/chat/completions. Raises RequestRefused."""
    body = load(raw)
    messages = _messages(body.get("messages"))
    tools = function_tools(body.get("tools"))
    kind, schema = _response_format(body.get("response_format"))
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    return Asked(
        id=digest(raw),
        model=model_name(body),
        messages=messages,
        prompt_tokens=prompt_tokens(messages, body.get("tools")),
        stream=body.get("stream") is True,
        include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        limit=count(limit, "max_tokens"),
        n=count(body.get("n"), "n", most=MOST_CHOICES) or 1,
        stop=_stop(body.get("stop")),
        tool=chosen_tool(tools, body.get("tool_choice"), messages),
        json=kind in ("json_object", "json_schema"),
        schema=schema,
    )


def model_name(body: Mapping[str, Any]) -> str:
    """The `model` of a body. Raises RequestRefused without one."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise RequestRefused("You must provide a model parameter.", param="model")
    return model


def count(value: object, param: str, *, most: int | None = None) -> int | None:
    """A positive whole number or None. Raises RequestRefused for anything else."""
    if value is None:
        return None
    if type(value) is not int or value < 1 or (most is not None and value > most):
        raise RequestRefused(f"Invalid value for {param}: {value!r}.", param=param)
    return value


def content_text(content: object) -> tuple[str, int]:
    """The text of a message's content, and how many images it holds."""
    if isinstance(content, str):
        return content, 0
    if not isinstance(content, list):
        return "", 0
    texts = [p["text"] for p in content if isinstance(_part(p).get("text"), str)]
    images = sum("image" in str(_part(p).get("type")) for p in content)
    return "\n".join(texts), images


def _part(part: object) -> Mapping[str, Any]:
    return part if isinstance(part, dict) else {}


def _messages(value: object) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise RequestRefused("messages must be a non-empty array.", param="messages")
    return tuple(_message(item, index) for index, item in enumerate(value))


def _message(item: object, index: int) -> Message:
    if not isinstance(item, dict) or not isinstance(item.get("role"), str):
        raise RequestRefused(
            f"messages[{index}] must be an object with a role.",
            param=f"messages[{index}].role",
        )
    text, images = content_text(item.get("content"))
    return Message(item["role"], text + _calls_text(item.get("tool_calls")), images)


def _calls_text(calls: object) -> str:
    """What an earlier tool call adds to the prompt."""
    return orjson.dumps(calls).decode() if isinstance(calls, list) else ""


def prompt_tokens(messages: tuple[Message, ...], tools: object) -> int:
    """Tokens of all texts, of the tools' JSON, and a fixed number per image."""
    total = sum(tokens.count(m.text) + IMAGE_TOKENS * m.images for m in messages)
    if isinstance(tools, list) and tools:
        total += tokens.count(orjson.dumps(tools).decode())
    return total


def _stop(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,) if value else ()
    if isinstance(value, list):
        return tuple(item for item in value if isinstance(item, str) and item)
    return ()


def function_tools(value: object) -> tuple[Tool, ...]:
    """The functions among the tools of a chat request; other kinds are left out."""
    if not isinstance(value, list):
        return ()
    functions = [_part(_part(item).get("function")) for item in value]
    return tuple(_tool(f) for f in functions if isinstance(f.get("name"), str))


def _tool(function: Mapping[str, Any]) -> Tool:
    parameters = function.get("parameters")
    return Tool(function["name"], parameters if isinstance(parameters, dict) else {})


def chosen_tool(
    tools: tuple[Tool, ...], choice: object, messages: tuple[Message, ...]
) -> Tool | None:
    """The tool to call now: the named one or the first, right after the user spoke."""
    if not tools or choice == "none" or messages[-1].role != "user":
        return None
    if not isinstance(choice, dict):
        return tools[0]
    named = _part(choice.get("function")).get("name") or choice.get("name")
    for tool in tools:
        if tool.name == named:
            return tool
    raise RequestRefused(f"Tool {named!r} is not in tools.", param="tool_choice")


def _response_format(value: object) -> tuple[str | None, Mapping[str, Any] | None]:
    form = _part(value)
    schema = _part(form.get("json_schema")).get("schema")
    return form.get("type"), schema if isinstance(schema, dict) else None
