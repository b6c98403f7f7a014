"""Parses a caller's cache directives: Cache-Control and x-valuecanvas-cache-ttl."""

from collections.abc import Mapping
from dataclasses import dataclass

from valuecanvas.core.errors import InvalidRequest

MOST_TTL_S = 30 * 86_400
MOST_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Directives:
    """Whether an answer may be read from the cache, how old, and stored there."""

    read: bool = True
    write: bool = True
    max_age_s: int | None = None
    ttl_s: int | None = None


DEFAULT = Directives()


def parse(headers: Mapping[str, str]) -> Directives:
    """From WSGI-style headers. Raises InvalidRequest for a TTL out of bounds."""
    control = headers.get("HTTP_CACHE_CONTROL", "")
    ttl = headers.get("HTTP_X_VALUECANVAS_CACHE_TTL", "")
    if not control and not ttl:
        return DEFAULT
    words = {part.strip().lower() for part in control.split(",")}
    max_age = _max_age(words)
    return Directives(
        # max-age=0 asks for a fresh answer, as no-cache does.
        read=not words & {"no-store", "no-cache"} and max_age != 0,
        write="no-store" not in words,
        max_age_s=max_age,
        ttl_s=_ttl(ttl),
    )


def _max_age(words: set[str]) -> int | None:
    for word in words:
        name, _, value = word.partition("=")
        if name == "max-age" and value.isascii() and value.isdigit():
            return min(_seconds(value), MOST_TTL_S)
    return None


def _seconds(digits: str) -> int:
    """The value; more than the limit for too many digits, which int() refuses."""
    return int(digits) if len(digits) <= MOST_DIGITS else MOST_TTL_S + 1


def _ttl(value: str) -> int | None:
    if not value:
        return None
    if value.isascii() and value.isdigit() and 1 <= _seconds(value) <= MOST_TTL_S:
        return _seconds(value)
    raise InvalidRequest(
        f"'x-valuecanvas-cache-ttl' must be whole seconds from 1 to {MOST_TTL_S}.",
        param="x-valuecanvas-cache-ttl",
    )
