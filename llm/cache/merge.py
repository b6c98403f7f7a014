"""Joins members that a stream repeats, if nothing is lost by it."""

from typing import Any

_EMPTY: tuple[Any, ...] = ("", [], {})


def put_once(target: dict[str, Any], name: str, value: Any) -> None:
    """Set a member that comes once. Raises ValueError for a second, different one.

    Two texts or lists may follow or replace each other; two equal numbers are one.
    """
    known = target.get(name)
    if known is None or known in _EMPTY:
        target[name] = value
    elif value in _EMPTY:
        return
    elif not isinstance(value, int | float) or not _same(known, value):
        raise ValueError(f"'{name}' comes twice.")


def merge(target: dict[str, Any], name: str, value: Any) -> None:
    """Set a member that may be repeated. Raises ValueError for a different value."""
    known = target.get(name)
    if known is None or known in _EMPTY:
        target[name] = value
    elif isinstance(known, dict) and isinstance(value, dict):
        joined = target[name] = dict(known)
        for inner, more in value.items():
            if more is not None:
                merge(joined, inner, more)
    elif value not in _EMPTY and not _same(known, value):
        raise ValueError(f"'{name}' changes.")


def _same(one: Any, other: Any) -> bool:
    # True == 1, but they are not the same value.
    return type(one) is type(other) and bool(one == other)
