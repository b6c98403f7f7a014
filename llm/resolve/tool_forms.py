"""Converts function tools between the forms of chat and of Responses.

Anything else is left as it is: the endpoint's own checks say what is wrong.
"""

from typing import Any

FUNCTION = "function"


def as_tool(given: Any) -> Any:
    """A tool for Responses; also one of chat's old `functions`, which have no type."""
    if not isinstance(given, dict):
        return given
    if isinstance(given.get(FUNCTION), dict):
        return {"type": FUNCTION, **given[FUNCTION]}
    return given if "type" in given else {"type": FUNCTION, **given}


def as_chat_tool(given: Any) -> Any:
    if not _is_flat(given):
        return given
    inner = {name: value for name, value in given.items() if name != "type"}
    return {"type": FUNCTION, FUNCTION: inner}


def as_choice(given: Any) -> Any:
    """The `tool_choice` for Responses; also chat's old `function_call`."""
    if not isinstance(given, dict):
        return given
    inner = given.get(FUNCTION, given)
    if isinstance(inner, dict) and given.get("type", FUNCTION) == FUNCTION:
        return {"type": FUNCTION, "name": inner.get("name")}
    return given


def as_chat_choice(given: Any) -> Any:
    if not _is_flat(given):
        return given
    return {"type": FUNCTION, FUNCTION: {"name": given.get("name")}}


def _is_flat(given: Any) -> bool:
    return (
        isinstance(given, dict)
        and given.get("type") == FUNCTION
        and FUNCTION not in given
    )
