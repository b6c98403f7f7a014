"""Adapts an operator's parameters to the names and bounds of an endpoint.

A version serves chats and Responses alike, so its parameters may have either's names.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from llm.resolve.tool_forms import as_chat_choice, as_chat_tool, as_choice, as_tool
from valuecanvas.core.parameters import CAPS, CHOICES, RESERVED, is_count

LOGPROBS = "message.output_text.logprobs"
# Of Responses alone, with nothing like it in a chat.
_NOT_IN_CHAT = frozenset(
    {"include", "reasoning", "text", "truncation", "max_tool_calls",
     "context_management"}
)  # fmt: skip
_NOT_IN_RESPONSES = frozenset(
    {CHOICES, "function_call", "functions", "logprobs", "reasoning_effort",
     "response_format", "verbosity"}
)  # fmt: skip


def adapt_parameters(endpoint: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in `given` that `endpoint` knows, under its names.

    Invalid numbers, which older versions may have, are left out.
    """
    responses = endpoint == "responses"
    found = {name: value for name, value in given.items() if name not in RESERVED}
    cap = next((found[name] for name in CAPS if is_count(found.get(name))), None)
    choices = found.pop(CHOICES, None)
    found = {name: value for name, value in found.items() if name not in CAPS}
    found = _as_responses(found) if responses else _as_chat(found)
    if cap is not None:
        found["max_output_tokens" if responses else "max_tokens"] = cap
    if is_count(choices) and not responses:
        found[CHOICES] = min(choices, settings.LLM_MAX_N)
    return found


def _as_responses(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a chat as those of Responses, which nests some."""
    found = {n: value for n, value in given.items() if n not in _NOT_IN_RESPONSES}
    form = given.get("response_format")
    _put(found, "text", "format", _flat_format(form))
    _put(found, "text", "verbosity", given.get("verbosity"))
    _put(found, "reasoning", "effort", given.get("reasoning_effort"))
    if given.get("logprobs") is True:
        found["include"] = join_lists(found.get("include"), [LOGPROBS])
    tools = found.get("tools", given.get("functions"))
    if isinstance(tools, list):
        found["tools"] = [as_tool(one) for one in tools]
    choice = found.get("tool_choice", given.get("function_call"))
    if choice is not None:
        found["tool_choice"] = as_choice(choice)
    return found


def _as_chat(given: Mapping[str, Any]) -> dict[str, Any]:
    found = {n: value for n, value in given.items() if n not in _NOT_IN_CHAT}
    text, reasoning = given.get("text"), given.get("reasoning")
    if isinstance(text, dict):
        _set(found, "response_format", _nested_format(text.get("format")))
        _set(found, "verbosity", text.get("verbosity"))
    if isinstance(reasoning, dict):
        _set(found, "reasoning_effort", reasoning.get("effort"))
    include = given.get("include")
    if isinstance(include, list) and LOGPROBS in include:
        _set(found, "logprobs", True)
    if isinstance(found.get("tools"), list):
        found["tools"] = [as_chat_tool(one) for one in found["tools"]]
    if "tool_choice" in found:
        found["tool_choice"] = as_chat_choice(found["tool_choice"])
    return found


def join_lists(own: Any, others: Any) -> Any:
    """Join two lists without repetition; the checks refuse what is no list."""
    if own is None:
        return others
    if isinstance(own, list) and isinstance(others, list):
        return [*own, *(one for one in others if one not in own)]
    return own


def _put(found: dict[str, Any], name: str, field: str, value: Any) -> None:
    """Set `name.field`, unless it is set already."""
    whole = found.get(name)
    if value is not None and (whole is None or isinstance(whole, dict)):
        found[name] = {field: value, **(whole or {})}


def _set(found: dict[str, Any], name: str, value: Any) -> None:
    if value is not None:
        found.setdefault(name, value)


def _flat_format(given: Any) -> Any:
    """A chat's response_format, one level flatter."""
    if isinstance(given, dict) and isinstance(given.get("json_schema"), dict):
        return {"type": "json_schema", **given["json_schema"]}
    return given


def _nested_format(given: Any) -> Any:
    """A Response's text.format as a chat's response_format."""
    if isinstance(given, dict) and given.get("type") == "json_schema":
        inner = {name: value for name, value in given.items() if name != "type"}
        return {"type": "json_schema", "json_schema": inner}
    return given
