"""Checks and measures a request body; refusals name the field."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import orjson
from django.conf import settings

from llm.metering import attachments, tokens
from llm.types import Call, Shape
from valuecanvas.core.errors import InvalidRequest
from valuecanvas.core.parameters import UPSTREAM
from valuecanvas.core.threads import LARGE_BYTES, run_aside

P = ParamSpec("P")
T = TypeVar("T")
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


def _encoded(body: Any) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError as error:
        raise InvalidRequest(f"The body cannot be sent on: {error}.") from error


def _shape(
    endpoint: str,
    body: dict[str, Any],
    *,
    size: int | None = None,
    token_ids: int = 0,
    include_usage: bool = False,
    choices: int = 1,
    asked_output: int | None = None,
) -> Shape:
    """The shape of a body: all of it but attachments may become prompt.

    `size` is the size of its text, if that is not all.
    """
    raw = _encoded(body)
    # In both dialects each picture is under a key of this name; in a text the quotes
    # would be escaped.
    pictures = raw.count(b'"image_url":')
    if size is None:
        size = len(raw)
    attached = attachments.NOTHING
    if pictures or any(mark in raw for mark in attachments.MARKS):
        attached = attachments.read_attachments(endpoint, body)
        size -= attached.size
    framing = tokens.TEMPLATE_TOKENS
    if body.get("tools") or body.get("functions"):
        framing += tokens.TOOLS_TOKENS
    predicted = body.get("prediction")
    return Shape(
        model=_model(body),
        stream=endpoint != "embeddings" and _boolean(body, "stream"),
        include_usage=include_usage,
        choices=choices,
        asked_output=asked_output,
        prompt_tokens=tokens.of_bytes(size)
        + token_ids
        + pictures * tokens.PICTURE.usual
        + attached.sound_usual
        + attached.pages * tokens.PAGE.usual
        + tokens.TEMPLATE_TOKENS,
        prompt_bytes=size,
        prompt_most=size + token_ids + framing,
        pictures=pictures,
        attached=attached,
        token_ids=token_ids,
        # Its wrong parts are billed as output.
        predicted=len(orjson.dumps(predicted)) if predicted else 0,
    )


def _include_usage(body: dict[str, Any]) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise InvalidRequest(
            "'stream_options' must be an object.", param="stream_options"
        )
    return bool(options.get("include_usage"))


def _check_messages(body: dict[str, Any]) -> None:
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


def chat(body: dict[str, Any]) -> Shape:
    """The shape of a chat completion request. Raises InvalidRequest."""
    _refuse_forbidden(body)
    _model(body)
    _check_messages(body)
    return _shape(
        "chat",
        body,
        include_usage=_include_usage(body),
        choices=_whole(body, "n", settings.LLM_MAX_N) or 1,
        asked_output=_whole(body, "max_completion_tokens")
        or _whole(body, "max_tokens"),
    )


def responses(body: dict[str, Any]) -> Shape:
    """The shape of a Responses request. Raises InvalidRequest."""
    _refuse_forbidden(body)
    _model(body)
    value = body.get("input")
    if not isinstance(value, str | list) or value == []:
        raise InvalidRequest(
            "'input' must be a text or a list of items.", param="input"
        )
    asked = _whole(body, "max_output_tokens")
    return _shape("responses", body, include_usage=True, asked_output=asked)


def embeddings(body: dict[str, Any]) -> Shape:
    """The shape of an embeddings request. Raises InvalidRequest."""
    _refuse_forbidden(body)
    _model(body)
    value = body.get("input")
    if isinstance(value, str):
        return _shape("embeddings", body)
    if not isinstance(value, list) or not value:
        raise InvalidRequest(
            "'input' must be a text, a list of texts or a list of tokens.",
            param="input",
        )
    ids = [one for one in value if _is_tokens(one)]
    if not ids:
        return _shape("embeddings", body)
    count = sum(len(one) if isinstance(one, list) else 1 for one in ids)
    size = len(_encoded(body)) - len(_encoded(ids))
    return _shape("embeddings", body, size=size, token_ids=count)


def _is_tokens(one: Any) -> bool:
    """A token's number, or a list of them."""
    if isinstance(one, list):
        return all(isinstance(number, int) for number in one)
    return isinstance(one, int)


SHAPES: dict[str, Callable[[dict[str, Any]], Shape]] = {
    "chat": chat,
    "responses": responses,
    "embeddings": embeddings,
}


async def shape_of(call: Call, body: dict[str, Any]) -> Shape:
    """The shape of `body`, which is that of the call or made of it."""
    return await run_by_size(call, SHAPES[call.endpoint], body)


async def run_by_size(
    call: Call, function: Callable[P, T], *args: P.args, **named: P.kwargs
) -> T:
    """Call `function`, for a large call in a thread, so that others need not wait."""
    return await run_aside(call.size > LARGE_BYTES, function, *args, **named)
