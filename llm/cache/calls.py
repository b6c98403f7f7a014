"""Joins tool calls from the pieces of a stream."""

from typing import Any

import orjson

from llm.cache.merge import merge, put_once

# Most calls of one message: more must not fill memory.
_MOST_CALLS = 128
# The member that holds a call's texts -> the text that grows from piece to piece.
_GROWING = {"function": "arguments", "custom": "input"}


class _Call:
    """One call so far."""

    def __init__(self) -> None:
        self.members: dict[str, Any] = {}
        self._grown: dict[str, list[str]] = {}

    @property
    def id(self) -> Any:
        return self.members.get("id")

    def add(self, piece: dict[str, Any]) -> None:
        for name, value in piece.items():
            if value is None or name == "index":
                continue
            if name in _GROWING:
                self.grow(name, value)
            elif name in ("id", "type"):
                merge(self.members, name, value)
            else:
                put_once(self.members, name, value)

    def grow(self, kind: str, piece: dict[str, Any]) -> None:
        made = self.members.setdefault(kind, {})
        for name, value in piece.items():
            if name == _GROWING[kind] and isinstance(value, str):
                self._grown.setdefault(kind, []).append(value)
            elif name == _GROWING[kind] and value is not None:
                raise TypeError("What a tool is given is no text.")
            elif value is not None:
                put_once(made, name, value)

    def whole(self) -> dict[str, Any]:
        found = dict(self.members)
        for kind, growing in _GROWING.items():
            if kind in found:
                text = "".join(self._grown.get(kind, ()))
                found[kind] = {**found[kind], growing: text}
                found.setdefault("type", kind)
        return found

    def is_complete(self) -> bool:
        """Whether its arguments are complete: nothing can follow them."""
        try:
            return isinstance(orjson.loads("".join(self._grown["function"])), dict)
        except (KeyError, orjson.JSONDecodeError):
            return False


class OpenCalls:
    """The calls of one message, in the order of their numbers."""

    def __init__(self) -> None:
        # (number, call): several may have one number.
        self._calls: list[tuple[int, _Call]] = []
        self._last: dict[int, _Call] = {}
        self._old: _Call | None = None

    def add(self, piece: dict[str, Any]) -> None:
        """Add a piece. Raises ValueError if it may belong to several calls."""
        index = piece.get("index")
        if index is None:
            index = self._next(piece)
        if type(index) is not int or not 0 <= index < _MOST_CALLS:
            raise ValueError("A call's number is none.")
        call = self._last.get(index)
        if call is None or _begins(call, piece):
            call = self._begin(index)
        call.add(piece)

    def add_function(self, piece: dict[str, Any]) -> None:
        """Add a piece of a call in its older form: a message has only one."""
        self._old = self._old or _Call()
        self._old.grow("function", piece)

    def members(self) -> dict[str, Any]:
        """The members of the message for these calls."""
        found: dict[str, Any] = {}
        if self._calls:
            in_order = sorted(self._calls, key=lambda one: one[0])
            found["tool_calls"] = [call.whole() for _, call in in_order]
        if self._old is not None:
            found["function_call"] = self._old.whole()["function"]
        return found

    def _begin(self, index: int) -> _Call:
        if len(self._calls) == _MOST_CALLS:
            raise ValueError("There are too many calls.")
        call = self._last[index] = _Call()
        self._calls.append((index, call))
        return call

    def _next(self, piece: dict[str, Any]) -> int:
        """The number for a piece without one: it must be a new call."""
        given = piece.get("id")
        begun = any(call.id == given for _, call in self._calls) if given else False
        open_call = self._calls and not self._calls[-1][1].is_complete()
        if begun or open_call or not _name(piece):
            raise ValueError("A piece of a call has no number.")
        return max(self._last, default=-1) + 1


def _name(piece: dict[str, Any]) -> Any:
    made = piece.get("function") or piece.get("custom") or {}
    return made.get("name")


def _begins(call: _Call, piece: dict[str, Any]) -> bool:
    """Whether a piece with the number of `call` begins another one.

    Some providers give all their calls one number, others give each piece a new id. So
    a new call needs a name, and the call before must be complete.
    """
    given = piece.get("id")
    return bool(given and given != call.id and _name(piece) and call.is_complete())
