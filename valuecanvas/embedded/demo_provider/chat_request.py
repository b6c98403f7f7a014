"""Parses the chat requests of the demo provider."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from valuecanvas.embedded.demo_provider import token_text
from valuecanvas.embedded.demo_provider.errors import RequestRefused

_IMAGE_TOKENS = 85
_MOST_CHOICES = 128


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message, its text joined and its images counted."""

    role: str
    text: str
    images: int = 0


@dataclass(frozen=True, slots=True)
class DemoChatRequest:
    """A parsed chat request (or one translated to chat)."""

    id: str
    model: str
    messages: tuple[ChatMessage, ...]
    prompt_tokens: int
    stream: bool
    include_usage: bool
    limit: int | None
    n: int
    tool: Mapping[str, Any] | None
    json: bool
    schema: Mapping[str, Any] | None

    @property
    def last_user_text(self) -> str:
        """The text of the user's last message, or an empty one."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")


def load_body(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`. Raises RequestRefused if there is none."""
    with suppress(orjson.JSONDecodeError):
        if isinstance(body := orjson.loads(raw), dict):
            return body
    raise RequestRefused("The body must be a JSON object.")


def read_chat(body: Mapping[str, Any], raw: bytes) -> DemoChatRequest:
    """The chat request in `body`. Raises RequestRefused.

    The ids in the answer are a hash of `raw`: same body, same ids.
    """
    messages = _messages(body.get("messages"))
    form = as_dict(body.get("response_format"))
    schema = as_dict(form.get("json_schema")).get("schema")
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    return DemoChatRequest(
        id=blake2b(raw, digest_size=12).hexdigest(),
        model=model_name(body),
        messages=messages,
        prompt_tokens=_prompt_tokens(messages, body.get("tools")),
        stream=body.get("stream") is True,
        include_usage=bool(as_dict(body.get("stream_options")).get("include_usage")),
        limit=positive_number(limit, "max_tokens"),
        n=positive_number(body.get("n"), "n", most=_MOST_CHOICES) or 1,
        tool=_tool_to_call(body, messages),
        json=form.get("type") in ("json_object", "json_schema"),
        schema=schema if isinstance(schema, dict) else None,
    )


def model_name(body: Mapping[str, Any]) -> str:
    """The `model` of a body. Raises RequestRefused without one."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise RequestRefused("You must provide a model parameter.", param="model")
    return model


def positive_number(
    value: object, param: str, *, most: int | None = None
) -> int | None:
    """A positive whole number or None. Raises RequestRefused for anything else."""
    if value is None:
        return None
    if type(value) is not int or value < 1 or (most is not None and value > most):
        raise RequestRefused(f"Invalid value for {param}: {value!r}.", param=param)
    return value


def as_dict(value: object) -> Mapping[str, Any]:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """`value` if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def _messages(value: object) -> tuple[ChatMessage, ...]:
    if not as_list(value):
        raise RequestRefused("messages must be a non-empty array.", param="messages")
    return tuple(_message(item, index) for index, item in enumerate(as_list(value)))


def _message(item: object, index: int) -> ChatMessage:
    if not isinstance(item, dict) or not isinstance(item.get("role"), str):
        raise RequestRefused(
            f"messages[{index}] must be an object with a role.",
            param=f"messages[{index}].role",
        )
    content, calls = item.get("content"), item.get("tool_calls")
    earlier_calls = orjson.dumps(calls).decode() if isinstance(calls, list) else ""
    if isinstance(content, str):
        return ChatMessage(item["role"], content + earlier_calls)
    parts = [as_dict(part) for part in as_list(content)]
    text = "\n".join(p["text"] for p in parts if isinstance(p.get("text"), str))
    images = sum("image" in str(part.get("type")) for part in parts)
    return ChatMessage(item["role"], text + earlier_calls, images)


def _prompt_tokens(messages: tuple[ChatMessage, ...], tools: object) -> int:
    """Tokens of all texts, of the tools' JSON, and a fixed number per image."""
    total = sum(token_text.count(m.text) + _IMAGE_TOKENS * m.images for m in messages)
    if as_list(tools):
        total += token_text.count(orjson.dumps(tools).decode())
    return total


def _tool_to_call(
    body: Mapping[str, Any], messages: tuple[ChatMessage, ...]
) -> Mapping[str, Any] | None:
    """The function to call: the named one or the first, if the last message is the user's."""
    items, choice = as_list(body.get("tools")), body.get("tool_choice")
    if not items:
        return None
    functions = [as_dict(as_dict(item).get("function")) for item in items]
    named = {f["name"]: f for f in functions if isinstance(f.get("name"), str)}
    if not named or choice == "none" or messages[-1].role != "user":
        return None
    if not isinstance(choice, dict):
        return next(iter(named.values()))
    name = as_dict(choice.get("function")).get("name") or choice.get("name")
    if name not in named:
        raise RequestRefused(f"Tool {name!r} is not in tools.", param="tool_choice")
    return named[name]
