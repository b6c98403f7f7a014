"""Refuses JSON that names a field twice: parsers disagree on its value."""

import json
from typing import Any

from valuecanvas.core.errors import InvalidRequest


def refuse_repeated(raw: bytes, what: str = "The body", param: str = "") -> None:
    """Raises InvalidRequest; `raw` is JSON already, and `what` names it."""
    where = param or None

    def check(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            message = f"{what} names a field twice."
            raise InvalidRequest(message, param=where, code="invalid_json")
        return found

    try:
        json.loads(raw, object_pairs_hook=check)
    except (ValueError, RecursionError) as error:
        # Numbers of thousands of digits, say: orjson takes what json does not.
        message = f"{what} is not valid JSON: {error}."
        raise InvalidRequest(message, param=where, code="invalid_json") from error
