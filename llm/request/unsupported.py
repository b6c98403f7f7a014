"""Refuses fields that use a provider's state or its separately priced services.

All callers share the providers' accounts: nobody may read what another caller stored
under an id. And what has a price of its own, or a prompt of unknown length, cannot be
reserved in advance.
"""

from collections.abc import Iterator
from typing import Any

from llm.request import field_names
from llm.request.field_names import unsupported_field

_TIERS = (None, "auto", "default")
# The caller itself runs these.
_TOOLS = {
    "chat": (None, "function", "custom"),
    "responses": (None, "function", "custom", "local_shell", "apply_patch"),
}
_CALLED = frozenset({"function", "custom", "name"})
_PLAIN = frozenset({"role", "content"})
# Content at a URL has an unknown size.
_FETCHED = ("file_url", "video_url", "audio_url")
_KEPT = "Send the content itself: other callers' content has such ids too."


def check(
    endpoint: str, body: dict[str, Any], *, allowed: frozenset[str] = frozenset()
) -> None:
    """Raises InvalidRequest with the name of an unsupported field.

    `allowed` are further fields, set or declared by an operator.
    """
    field_names.check(endpoint, body, allowed)
    if body.get("service_tier") not in _TIERS:
        raise unsupported_field(
            "service_tier", "Only the default tier has prices here: leave it out."
        )
    if endpoint in _TOOLS:
        _check_tools(endpoint, body.get("tools"))
        listed = "input" if endpoint == "responses" else "messages"
        for item, param in objects_in(body.get(listed), listed):
            _check_item(endpoint, item, param)


def _is_plain(item: dict[str, Any]) -> bool:
    """Whether a message has only a role and a text, as most have."""
    return item.keys() <= _PLAIN and isinstance(item.get("content"), str)


def _check_tools(endpoint: str, tools: Any) -> None:
    for tool, param in objects_in(tools, "tools"):
        field_names.check_inside(tool, param)
        kind = tool.get("type")
        # A tool without a type is recognized by its members.
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
    """The objects in a list to check, each with its place in the body."""
    if isinstance(listed, list):
        for index, item in enumerate(listed):
            if isinstance(item, dict) and not _is_plain(item):
                yield item, f"{param}[{index}]"
