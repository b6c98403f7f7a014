"""The tools of a Responses request as tools of a chat."""

from collections.abc import Callable, Mapping
from typing import Any

from llm.translate.typed_fields import (
    Json,
    a_boolean,
    a_list_of_objects,
    a_string,
    an_object,
    unsupported_field,
)
from valuecanvas.core.errors import InvalidRequest

REMEDY = "Declare a tool of type 'function' or 'custom' and run it yourself."
KINDS = ("function", "custom")
# The mode of 'allowed_tools' without one.
ALLOWED_MODE = "auto"
MODES = ("auto", "none", "required")


def with_mode(choice: Any) -> Any:
    """The `tool_choice`; allowed tools get the default mode if they have none."""
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        return {**choice, "mode": choice.get("mode") or ALLOWED_MODE}
    return choice


def chat_tools(body: Json) -> Json:
    """`tools`, `tool_choice` and `parallel_tool_calls` of the chat request.

    Raises InvalidRequest for a built-in tool and for a choice of a missing one.
    """
    listed = a_list_of_objects(body.get("tools") or [], "tools")
    tools = [_tool(tool, param) for tool, param in listed]
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        tools, choice = _allowed(tools, choice)
    if not tools:
        # Chat refuses the other two fields without tools.
        if choice not in (None, "auto", "none"):
            raise _no_such_tool("tool_choice")
        return {}
    chat: Json = {"tools": tools}
    if choice is not None:
        chat["tool_choice"] = _choice(choice)
    if body.get("parallel_tool_calls") is not None:
        chat["parallel_tool_calls"] = body["parallel_tool_calls"]
    return chat


def _tool(tool: Json, param: str) -> Json:
    kind, name = _named(tool, param)
    made: Json = {"name": name}
    for field, read in _OPTIONAL[kind]:
        if tool.get(field) is not None:
            made[field] = read(tool[field], f"{param}.{field}")
    return {"type": kind, kind: made}


def _format(value: object, param: str) -> Json:
    """The format of a custom tool's text; a chat wraps a grammar."""
    shape = an_object(value, param)
    if shape.get("type") != "grammar":
        return shape
    rules = {name: shape[name] for name in ("definition", "syntax") if name in shape}
    return {"type": "grammar", "grammar": rules}


def _choice(choice: object) -> object:
    if choice in MODES:
        return choice
    kind, name = _named(an_object(choice, "tool_choice"), "tool_choice")
    return {"type": kind, kind: {"name": name}}


def _allowed(tools: list[Json], choice: Json) -> tuple[list[Json], object]:
    """Offer only the allowed tools, as few providers know the wrapper."""
    listed = a_list_of_objects(choice.get("tools"), "tool_choice.tools")
    names = {_named(tool, param) for tool, param in listed}
    allowed = [
        tool for tool in tools if (tool["type"], tool[tool["type"]]["name"]) in names
    ]
    if not allowed or len(names) > len(allowed):
        raise _no_such_tool("tool_choice.tools")
    mode = choice.get("mode") or ALLOWED_MODE
    if mode not in MODES:
        raise InvalidRequest(
            "'tool_choice.mode' must be 'auto', 'required' or 'none'.",
            param="tool_choice.mode",
            code="invalid_value",
        )
    return allowed, mode


def _named(tool: Json, param: str) -> tuple[str, str]:
    """The kind of a tool and its name."""
    kind = tool.get("type")
    if kind not in KINDS:
        raise unsupported_field(f"{param}.type", "This kind of tool", REMEDY)
    return kind, a_string(tool.get("name"), f"{param}.name")


_OPTIONAL: Mapping[str, tuple[tuple[str, Callable[[object, str], Any]], ...]] = {
    "function": (
        ("description", a_string),
        ("parameters", an_object),
        ("strict", a_boolean),
    ),
    "custom": (("description", a_string), ("format", _format)),
}


def _no_such_tool(param: str) -> InvalidRequest:
    return InvalidRequest(
        f"'{param}' asks for a tool that is not in 'tools'. Add it there.",
        param=param,
        code="invalid_value",
    )
