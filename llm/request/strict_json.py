"""Parses JSON, and refuses what programs would read in two ways."""

from typing import Any

import orjson

from valuecanvas.core import json_numbers
from valuecanvas.core.api import json_names
from valuecanvas.core.errors import BodyTooLarge, InvalidRequest
from valuecanvas.core.threads import LARGE_BYTES

# orjson writes 254 levels; a translated request may be a few deeper than it came.
_MARGIN = 10
MOST_VALUES = 1_000_000
# An object takes the memory of so many numbers.
_OBJECT = 10
_BEGINNING = 3 * 1024 * 1024
_NEITHER_QUOTE_NOR_SEPARATOR = bytes(set(range(256)) - set(b'",[{'))


def parse(raw: bytes) -> dict[str, Any]:
    """The object in `raw`. Raises InvalidRequest; BodyTooLarge for too many values."""
    if len(raw) > LARGE_BYTES:
        refuse_too_many_values(raw)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            f"The body is not valid JSON: {error}.", code="invalid_json"
        ) from error
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.", code="invalid_json")
    # What most SDKs send is compact: equal bytes cannot hide a name given twice.
    if (written := _write(body)) != raw:
        _refuse_ambiguous(raw, written)
    return body


def refuse_too_many_values(raw: bytes) -> None:
    """Refuse too many small values: each takes fifty bytes, and time on the event loop.

    Raises BodyTooLarge.
    """
    if _count_values(raw) <= MOST_VALUES:
        return
    # The beginning has no more than the whole: most such bodies are told by it.
    ends = sorted({min(_BEGINNING, len(raw)), len(raw)})
    if any(_has_too_many(raw[:end]) for end in ends):
        raise BodyTooLarge(
            f"The body may hold at most {MOST_VALUES} values; an object counts as"
            f" {_OBJECT}."
        )


def _has_too_many(raw: bytes) -> bool:
    """Whether JSON, of which the end may be cut off, has too many values beside texts."""
    # Escapes go first: then a text ends at the next quote.
    bare = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    bare = bare.translate(None, _NEITHER_QUOTE_NOR_SEPARATOR)
    # So many texts are too many values too, and would take memory to split.
    if bare.count(b'"') > 4 * MOST_VALUES:
        return True
    return _count_values(b"".join(bare.split(b'"')[::2])) > MOST_VALUES


def _count_values(raw: bytes) -> int:
    return raw.count(b",") + raw.count(b"[") + _OBJECT * raw.count(b"{")


def _refuse_ambiguous(raw: bytes, written: bytes) -> None:
    """What programs read in two ways; `written` is `raw` as we read it.

    Raises InvalidRequest.
    """
    if may_repeat_names(raw, written):
        json_names.refuse_repeated(raw)
    json_numbers.refuse_over_64_bits(raw)


def may_repeat_names(raw: bytes, written: bytes) -> bool:
    """Whether `raw` has other colons than `written`, which has each name once.

    A name given twice takes a colon more, unless a text has one written as an escape.
    """
    return raw.count(b":") != written.count(b":") or raw.find(b"\\u003") >= 0


def _write(body: dict[str, Any]) -> bytes:
    """`body` as JSON. Raises InvalidRequest for one too deep to be sent on.

    orjson reads deeper than it writes.
    """
    wrapped: Any = body
    for _ in range(_MARGIN):
        wrapped = [wrapped]
    try:
        return orjson.dumps(wrapped)[_MARGIN:-_MARGIN]
    except orjson.JSONEncodeError as error:
        raise InvalidRequest(
            "The body is nested too deeply.", code="invalid_json"
        ) from error
