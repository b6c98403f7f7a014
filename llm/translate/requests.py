"""A Responses request as a Chat Completions request."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from llm.translate.inputs import chat_messages
from llm.translate.tools import chat_tools
from llm.translate.typed_fields import (
    Json,
    a_boolean,
    a_list,
    a_string,
    an_object,
    unsupported_field,
)
from valuecanvas.core.errors import InvalidRequest

# Refused with a remedy: without them the answer would change silently.
UNSUPPORTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "previous_response_id": "Send the whole conversation in 'input'.",
        "conversation": "Send the whole conversation in 'input'.",
        "background": "Leave it out, and wait for the answer or stream it.",
        "background_options": "Leave it out.",
        "prompt": "Send the prompt's text in 'instructions' and 'input'.",
        "context_management": "Leave it out, and shorten 'input' yourself.",
        "access_programs": "Leave it out.",
        "image": "Leave it out.",
    }
)
# Names of Chat Completions that would bypass the checks of our own names.
MISNAMED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "messages": "input",
        "max_tokens": "max_output_tokens",
        "max_completion_tokens": "max_output_tokens",
        "response_format": "text.format",
        "verbosity": "text.verbosity",
        "reasoning_effort": "reasoning.effort",
        "functions": "tools",
        "function_call": "tool_choice",
        "logprobs": "include",
    }
)
# Translated below, or without meaning in a chat: `max_tool_calls` counts calls
# of built-in tools, and `stream_options` asks for padding that we never add.
DROPPED: Final = frozenset(
    {
        *UNSUPPORTED,
        "input",
        "instructions",
        "include",
        "max_output_tokens",
        "max_tool_calls",
        "parallel_tool_calls",
        "reasoning",
        "stream_options",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "truncation",
    }
)


def to_chat(body: Json) -> Json:
    """The chat request for this Responses request.

    Fields unknown to both APIs pass through. Raises InvalidRequest, naming the
    field and the remedy, for what a chat can't express.
    """
    _refuse(body)
    chat: Json = {
        name: value
        for name, value in body.items()
        if value is not None and name not in DROPPED
    }
    chat["messages"] = chat_messages(body.get("input"), body.get("instructions"))
    # `max_tokens` is the name that every chat provider obeys; a provider that
    # overlooked the newer one would write, and bill, without a limit.
    if body.get("max_output_tokens") is not None:
        chat["max_tokens"] = body["max_output_tokens"]
    chat.update(chat_tools(body))
    chat.update(_text(body))
    chat.update(_reasoning(body))
    chat.update(_logprobs(body))
    if body.get("stream"):
        chat["stream_options"] = {"include_usage": True}
    return chat


def _refuse(body: Json) -> None:
    for name, remedy in UNSUPPORTED.items():
        if body.get(name):
            raise unsupported_field(name, f"'{name}'", remedy)
    for name, ours in MISNAMED.items():
        if body.get(name) is not None:
            raise InvalidRequest(
                f"Unsupported parameter: '{name}'. In the Responses API it is "
                f"'{ours}'.",
                param=name,
                code="unsupported_parameter",
            )
    if body.get("n") not in (None, 1):
        raise unsupported_field(
            "n", "More than one answer", "Send one request for each."
        )
    # "auto" allows to shorten what is too long, and so allows not to.
    if body.get("truncation") not in (None, "auto", "disabled"):
        raise InvalidRequest(
            "'truncation' must be 'auto' or 'disabled'.",
            param="truncation",
            code="invalid_value",
        )


def _text(body: Json) -> Json:
    text = an_object(body.get("text") or {}, "text")
    chat: Json = {}
    if text.get("verbosity") is not None:
        chat["verbosity"] = text["verbosity"]
    shape = an_object(text.get("format") or {"type": "text"}, "text.format")
    kind = shape.get("type")
    if kind == "json_schema":
        chat["response_format"] = {"type": kind, "json_schema": _json_schema(shape)}
    elif kind == "json_object":
        chat["response_format"] = {"type": kind}
    elif kind != "text":
        raise unsupported_field(
            "text.format.type",
            "This text format",
            "Use 'text', 'json_object' or 'json_schema'.",
        )
    return chat


def _json_schema(shape: Json) -> Json:
    schema: Json = {
        "name": a_string(shape.get("name"), "text.format.name"),
        "schema": an_object(shape.get("schema"), "text.format.schema"),
    }
    for name, read in (("description", a_string), ("strict", a_boolean)):
        if shape.get(name) is not None:
            schema[name] = read(shape[name], f"text.format.{name}")
    return schema


def _reasoning(body: Json) -> Json:
    """The effort only: the model decides whether there is a summary."""
    reasoning = an_object(body.get("reasoning") or {}, "reasoning")
    if reasoning.get("mode") not in (None, "standard"):
        raise unsupported_field(
            "reasoning.mode", "This reasoning mode", "Use 'standard' or leave it out."
        )
    effort = reasoning.get("effort")
    return {} if effort is None else {"reasoning_effort": effort}


def _logprobs(body: Json) -> Json:
    """Check `include`; its other values are for items that never occur here."""
    include = a_list(body.get("include") or [], "include")
    count = body.get("top_logprobs")
    if count:
        return {"logprobs": True, "top_logprobs": count}
    return {"logprobs": True} if "message.output_text.logprobs" in include else {}
