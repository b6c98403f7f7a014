"""Refuses what lies outside of a request: the provider's state, and its priced services.

The providers' accounts are shared by all who call here. What one of them keeps under an
id is not to be read by whoever knows the id; and what has a price of its own, or brings
in a prompt of unknown length, cannot be paid in advance.
"""

from collections.abc import Iterator
from typing import Any

from valuecanvas.core.errors import InvalidRequest

_WHOLE = "Send the whole conversation in 'input'."
_UNPRICED = "It has a price of its own, which the gateway does not know. Leave it out."
_FIELDS = {
    "responses": {
        "previous_response_id": _WHOLE,
        "conversation": _WHOLE,
        "background": "Leave it out, and wait for the answer or stream it.",
        "prompt": "Send the prompt's text in 'instructions' and 'input'.",
    },
    "chat": dict.fromkeys(
        ("web_search_options", "search_parameters", "plugins", "enable_search"),
        _UNPRICED,
    ),
}
_TIERS = (None, "auto", "default")
# The caller runs these itself, if they are run at all.
_TOOLS = {
    "chat": (None, "function", "custom"),
    "responses": (None, "function", "custom", "local_shell", "apply_patch"),
}
_PLAIN = frozenset({"role", "content"})
# Their size is only known to whoever fetches them.
_FETCHED = ("file_url", "video_url", "audio_url")
_KEPT = "Send the thing itself: other callers' are kept under such ids too."


def check(endpoint: str, body: dict[str, Any], *, natively: bool = True) -> None:
    """Raises InvalidRequest, naming the field, for what is more than a request.

    A Response that no provider gets `natively` is translated, without its reasoning.
    """
    for name, remedy in _FIELDS.get(endpoint, {}).items():
        if body.get(name):
            raise _unsupported(name, remedy)
    if body.get("service_tier") not in _TIERS:
        raise _unsupported(
            "service_tier", "Prices are those of the default one: leave it out."
        )
    if endpoint in _TOOLS:
        _check_tools(endpoint, body.get("tools"))
        listed = "input" if endpoint == "responses" else "messages"
        for item, param in _items(body.get(listed), listed):
            _check_item(endpoint, item, param)
            if natively and item.get("type") == "reasoning":
                _check_reasoning(item, param)


def _is_plain(item: dict[str, Any]) -> bool:
    """What most messages are: a role, and what it said."""
    return item.keys() <= _PLAIN and isinstance(item.get("content"), str)


def _check_tools(endpoint: str, tools: Any) -> None:
    for tool, param in _items(tools, "tools"):
        if tool.get("type") not in _TOOLS[endpoint]:
            raise _unsupported(f"{param}.type", "Send functions of your own.")


def _check_item(endpoint: str, item: dict[str, Any], param: str) -> None:
    if endpoint == "responses":
        _check_reference(item, param)
    elif _of(item.get("audio"), "id"):
        raise _unsupported(f"{param}.audio.id", _KEPT)
    for name in ("content", "output"):
        for part, where in _items(item.get(name), f"{param}.{name}"):
            _check_part(part, where)
    if isinstance(item.get("output"), dict):
        _check_part(item["output"], f"{param}.output")


def _check_reference(item: dict[str, Any], param: str) -> None:
    kind = item.get("type") or ("message" if "role" in item else "item_reference")
    if kind == "item_reference":
        raise _unsupported(param, "Send the item itself.")


def _check_reasoning(item: dict[str, Any], param: str) -> None:
    """By its id alone the provider would look up what it has kept."""
    if item.get("id") and not item.get("encrypted_content"):
        raise _unsupported(
            param,
            "Leave the item out, or ask for its 'encrypted_content' by 'include', and "
            "send that.",
        )


def _check_part(part: dict[str, Any], param: str) -> None:
    if part.get("file_id"):
        raise _unsupported(f"{param}.file_id", _KEPT)
    if _of(part.get("file"), "file_id"):
        raise _unsupported(f"{param}.file.file_id", _KEPT)
    for name in _FETCHED:
        given = part.get(name)
        url = _of(given, "url") or given
        if url and not (isinstance(url, str) and url.startswith("data:")):
            raise _unsupported(f"{param}.{name}", "Send its data in the request.")


def _of(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _items(listed: Any, param: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects in a list that need a look, each with its place in the body."""
    if isinstance(listed, list):
        for index, item in enumerate(listed):
            if isinstance(item, dict) and not _is_plain(item):
                yield item, f"{param}[{index}]"


def _unsupported(param: str, remedy: str) -> InvalidRequest:
    return InvalidRequest(
        f"'{param}' is not supported here. {remedy}",
        param=param,
        code="unsupported_parameter",
    )
