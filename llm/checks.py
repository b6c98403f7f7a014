"""Whether a request body can be served at all; refusals name the field."""

from collections.abc import Callable
from typing import Any

import orjson
from django.conf import settings

from llm import tokens
from llm.types import Shape
from valuecanvas.core.errors import InvalidRequest
from valuecanvas.core.parameters import UPSTREAM

MOST_MESSAGES = 10_000


def _refuse_forbidden(body: dict[str, Any]) -> None:
    for name in UPSTREAM & body.keys():
        raise InvalidRequest(
            f"'{name}' cannot be set by a client; an operator routes models.",
            param=name,
        )


def _model(body: dict[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("'model' is required: name a model.", param="model")
    return model


def _boolean(body: dict[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise InvalidRequest(f"'{name}' must be true or false.", param=name)
    return value


def _whole(body: dict[str, Any], name: str, most: int | None = None) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRequest(f"'{name}' must be a whole number from 1.", param=name)
    if most is not None and value > most:
        raise InvalidRequest(f"'{name}' may be at most {most} here.", param=name)
    return value


def _size(body: dict[str, Any], *names: str) -> int:
    return sum(len(orjson.dumps(body[name])) for name in names if body.get(name))


def _include_usage(body: dict[str, Any]) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise InvalidRequest(
            "'stream_options' must be an object.", param="stream_options"
        )
    return bool(options.get("include_usage"))


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest(
            "'messages' must be a list of at least one message.", param="messages"
        )
    if len(messages) > MOST_MESSAGES:
        raise InvalidRequest(
            f"'messages' may hold at most {MOST_MESSAGES} messages.", param="messages"
        )
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise InvalidRequest(
                f"'messages[{index}]' must be an object with a 'role'.",
                param=f"messages[{index}]",
            )
    return messages


def chat(body: dict[str, Any]) -> Shape:
    """The shape of a chat completion request. Raises InvalidRequest."""
    _refuse_forbidden(body)
    model = _model(body)
    size, extra = tokens.message_sizes(_messages(body))
    size += _size(body, "tools", "functions", "response_format")
    asked = _whole(body, "max_completion_tokens") or _whole(body, "max_tokens")
    return Shape(
        model=model,
        stream=_boolean(body, "stream"),
        include_usage=_include_usage(body),
        choices=_whole(body, "n", settings.LLM_MAX_N) or 1,
        asked_output=asked,
        prompt_tokens=tokens.of_bytes(size) + extra + 16,
        prompt_bytes=size,
    )


def responses(body: dict[str, Any]) -> Shape:
    """The shape of a Responses request. Raises InvalidRequest."""
    _refuse_forbidden(body)
    model = _model(body)
    given = body.get("input")
    if isinstance(given, str):
        size, extra = len(given.encode("utf-8", "replace")), tokens.MESSAGE_TOKENS
    elif isinstance(given, list) and given:
        items = [item for item in given if isinstance(item, dict)]
        size, extra = tokens.message_sizes(items)
        size += sum(
            _size(item, "arguments", "output", "summary")
            for item in items
            if "content" not in item
        )
    else:
        raise InvalidRequest(
            "'input' must be a text or a list of items.", param="input"
        )
    size += _size(body, "tools", "instructions", "text")
    return Shape(
        model=model,
        stream=_boolean(body, "stream"),
        include_usage=True,
        choices=1,
        asked_output=_whole(body, "max_output_tokens"),
        prompt_tokens=tokens.of_bytes(size) + extra + 16,
        prompt_bytes=size,
    )


def embeddings(body: dict[str, Any]) -> Shape:
    """The shape of an embeddings request. Raises InvalidRequest."""
    _refuse_forbidden(body)
    model = _model(body)
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise InvalidRequest(
            "'input' must be a text, a list of texts or a list of tokens.",
            param="input",
        )
    count = size = 0
    for text in texts:
        if isinstance(text, str):
            size += len(text.encode("utf-8", "replace"))
            count += 8
        elif isinstance(text, list):
            count += len(text)
        else:
            count += 1
    return Shape(
        model=model,
        stream=False,
        include_usage=False,
        choices=1,
        asked_output=None,
        prompt_tokens=tokens.of_bytes(size) + count,
        prompt_bytes=size + count,
    )


SHAPES: dict[str, Callable[[dict[str, Any]], Shape]] = {
    "chat": chat,
    "responses": responses,
    "embeddings": embeddings,
}
