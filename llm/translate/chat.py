"""Reads a chat of a provider leniently: unknown parts are left out, nothing raises."""

from typing import Any

from llm.translate.items import CUSTOM, FUNCTION, CallKind
from llm.translate.reasoning import reasoning_text
from llm.translate.typed_fields import Json
from valuecanvas.core import json_numbers

# Members that may have the text of a content part.
_TEXTS = ("text", "refusal")


def text_in(source: Json, name: str) -> str:
    """The text at `name`: a string, the texts of a list of parts, or any JSON."""
    value = source.get(name)
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list):
        return "".join(_words(part) for part in value if not _is_thought(part))
    return json_numbers.dumps(value).decode()


def object_in(source: Json, name: str) -> Json:
    """The object at `name`; empty for anything else."""
    value = source.get(name)
    return value if isinstance(value, dict) else {}


def objects_in(source: Json, name: str) -> list[Json]:
    """The objects of the list at `name`; empty for anything else."""
    value = source.get(name)
    if not isinstance(value, list):
        return []
    return [one for one in value if isinstance(one, dict)]


def thoughts_in(message: Json) -> str:
    """The reasoning in a message or delta, or among the parts of its content."""
    if text := reasoning_text(message):
        return text
    parts = message.get("content")
    thoughts = filter(_is_thought, parts if isinstance(parts, list) else ())
    return "".join(reasoning_text({"reasoning": part}) for part in thoughts)


def calls_in(message: Json) -> list[Json]:
    """The calls in a message or delta, also in the older form before tools."""
    calls = objects_in(message, "tool_calls")
    if made := object_in(message, "function_call"):
        calls.append({"index": 0, "function": made})
    return calls


def call_in(call: Json) -> tuple[CallKind, str, str]:
    """The kind of a call, its name and its arguments."""
    kind = CUSTOM if object_in(call, CUSTOM.member) else FUNCTION
    made = object_in(call, kind.member)
    return kind, text_in(made, "name"), text_in(made, kind.text)


def logprobs_in(choice: Json) -> list[Json]:
    """The log probabilities of a choice; empty for older shapes of them."""
    return [
        {**_logprob(token), "top_logprobs": _tops(token)}
        for token in objects_in(object_in(choice, "logprobs"), "content")
        if _is_logprob(token)
    ]


def _words(part: Any) -> str:
    if not isinstance(part, dict):
        return part if isinstance(part, str) else ""
    found = (part.get(name) for name in _TEXTS)
    return next((text for text in found if isinstance(text, str)), "")


def _is_thought(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in ("thinking", "reasoning")


def _is_logprob(token: Json) -> bool:
    text, likely = token.get("token"), token.get("logprob")
    return isinstance(text, str) and type(likely) in (int, float)


def _tops(token: Json) -> list[Json]:
    return [_logprob(t) for t in objects_in(token, "top_logprobs") if _is_logprob(t)]


def _logprob(token: Json) -> Json:
    # A chat may have null where the Responses API has a list.
    spelt = token.get("bytes")
    whole = isinstance(spelt, list) and all(type(one) is int for one in spelt)
    return {
        "token": token["token"],
        "logprob": token["logprob"],
        "bytes": spelt if whole else [],
    }
