"""Builds the attributes of a request for flags and experiments."""

from collections.abc import Mapping
from typing import Any

import orjson

from billing.auth.principal import Principal
from valuecanvas.core import json_numbers
from valuecanvas.core.api import json_names
from valuecanvas.core.errors import InvalidRequest
from valuecanvas.core.targeting.conditions import Attributes

HEADER = "x-valuecanvas-context"
MOST_BYTES = 4096
SUBJECT = "targetingKey"
_EMPTY: Mapping[str, Any] = {}


def parse(header: str | None) -> Mapping[str, Any]:
    """The JSON object of the header. Raises InvalidRequest."""
    if header is None:
        return _EMPTY
    if len(header) > MOST_BYTES:
        raise InvalidRequest(
            f"'{HEADER}' may be at most {MOST_BYTES} bytes.", param=HEADER
        )
    # WSGI's texts are bytes read as Latin-1. JSON is UTF-8, but not all clients know.
    found = _json(header.encode("latin-1", "replace")) or _json(header)
    if not isinstance(found, dict):
        raise InvalidRequest(
            f"'{HEADER}' must be a JSON object such as "
            '{"targetingKey": "user-123", "country": "SE"}.',
            param=HEADER,
        )
    json_numbers.refuse_over_64_bits(header.encode(), HEADER)
    json_names.refuse_repeated(header.encode(), f"'{HEADER}'", HEADER)
    return found


def build(
    principal: Principal, body: Mapping[str, Any], sent: Mapping[str, Any]
) -> Attributes:
    """The attributes of a request; our own override those of the client.

    The subject of buckets is the client's `targetingKey`, else the `user` it names,
    else the customer. A key belongs to a server, which may name its users; a token
    belongs to one user, who may not name another.
    """
    metadata = body.get("metadata")
    found: dict[str, Any] = dict(metadata) if isinstance(metadata, dict) else {}
    found |= sent
    named = subject = principal.user_id
    if principal.key:
        named = _text(body.get("user")) or named
        subject = _text(found.get(SUBJECT)) or named
    found[SUBJECT] = subject
    found["user"] = named
    found["customer"] = principal.user_id
    found["tier"] = principal.tier
    found["team"] = principal.team
    found["key"] = principal.key
    return Attributes(found)


def _json(text: bytes | str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
