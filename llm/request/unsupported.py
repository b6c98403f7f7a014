"""Refuses what lies outside of a request: the provider's state, and its priced services.

The providers' accounts are shared by all who call here. What one of them keeps under an
id is not to be read by whoever knows the id; and what has a price of its own, or brings
in a prompt of unknown length, cannot be paid in advance.
"""

from collections.abc import Iterator
from typing import Any

from llm.request import field_names
from llm.request.field_names import unsupported_field

_TIERS = (None, "auto", "default")
# The caller runs these itself, if they are run at all.
_TOOLS = {
    "chat": (None, "function", "custom"),
    "responses": (None, "function", "custom", "local_shell", "apply_patch"),
}
_CALLED = frozenset({"function", "custom", "name"})
_PLAIN = frozenset({"role", "content"})
# Their size is only known to whoever fetches them.
_FETCHED = ("file_url", "video_url", "audio_url")
_KEPT = "Send the thing itself: other callers' are kept under such ids too."


def check(
    endpoint: str,
    body: dict[str, Any],
    *,
    operator_fields: frozenset[str] = frozenset(),
) -> None:
    """Raises InvalidRequest, naming the field, for what is more than a request.

    An operator may have `given` fields that are not a client's to send.
    """
    field_names.check(endpoint, body, operator_fields)
    if body.get("service_tier") not in _TIERS:
        raise unsupported_field(
            "service_tier", "Prices are those of the default one: leave it out."
        )
    if endpoint in _TOOLS:
        _check_tools(endpoint, body.get("tools"))
        listed = "input" if endpoint == "responses" else "messages"
        for item, param in objects_in(body.get(listed), listed):
            _check_item(endpoint, item, param)


def _is_plain(item: dict[str, Any]) -> bool:
    """What most messages are: a role, and what it said."""
    return item.keys() <= _PLAIN and isinstance(item.get("content"), str)


def _check_tools(endpoint: str, tools: Any) -> None:
    for tool, param in objects_in(tools, "tools"):
        field_names.check_inside(tool, param)
        kind = tool.get("type")
        # One without a type is told by what it holds.
        typeless = kind is None and tool.keys().isdisjoint(_CALLED)
        if typeless or kind not in _TOOLS[endpoint]:
            raise unsupported_field(f"{param}.type", "Send functions of your own.")


def _check_item(endpoint: str, item: dict[str, Any], param: str) -> None:
    field_names.check_inside(item, param)
    if endpoint == "responses":
        _check_reference(item, param)
    elif _of(item.get("audio"), "id"):
        raise unsupported_field(f"{param}.audio.id", _KEPT)
    for name in ("content", "output"):
        if isinstance(item.get(name), dict):
            _check_part(item[name], f"{param}.{name}")
        for part, where in objects_in(item.get(name), f"{param}.{name}"):
            _check_part(part, where)


def _check_reference(item: dict[str, Any], param: str) -> None:
    kind = item.get("type") or ("message" if "role" in item else "item_reference")
    if kind == "item_reference":
        raise unsupported_field(param, "Send the item itself.")


def _check_part(part: dict[str, Any], param: str) -> None:
    field_names.check_inside(part, param)
    if part.get("file_id"):
        raise unsupported_field(f"{param}.file_id", _KEPT)
    if isinstance(part.get("file"), dict):
        field_names.check_inside(part["file"], f"{param}.file")
    if _of(part.get("file"), "file_id"):
        raise unsupported_field(f"{param}.file.file_id", _KEPT)
    for name in _FETCHED:
        given = part.get(name)
        url = _of(given, "url") or given
        if url and not (isinstance(url, str) and url.startswith("data:")):
            raise unsupported_field(f"{param}.{name}", "Send its data in the request.")


def _of(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def objects_in(listed: Any, param: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects in a list that need a look, each with its place in the body."""
    if isinstance(listed, list):
        for index, item in enumerate(listed):
            if isinstance(item, dict) and not _is_plain(item):
                yield item, f"{param}[{index}]"
