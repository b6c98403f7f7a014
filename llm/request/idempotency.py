"""The Idempotency-Key header (IETF draft-ietf-httpapi-idempotency-key-header)."""

import hashlib
import uuid

import orjson

from billing.auth.principal import Principal
from billing.ledger import Claim
from llm.types import Call
from valuecanvas.core.errors import InvalidRequest

MOST = 255


def parse(header: str | None) -> str | None:
    """The key, from a quoted or a bare value. Raises InvalidRequest."""
    if header is None:
        return None
    value = header.strip()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if not 1 <= len(value) <= MOST or not value.isascii() or not value.isprintable():
        raise InvalidRequest(
            f"'Idempotency-Key' must be 1 to {MOST} printable ASCII characters.",
            param="Idempotency-Key",
        )
    return value


def claim(call: Call, principal: Principal) -> Claim | None:
    """The claim of the call's key by this customer on its path; None without a key."""
    if call.idempotency_key is None:
        return None
    canonical = orjson.dumps(call.body, option=orjson.OPT_SORT_KEYS)
    return Claim(
        claim_id(call, principal.customer_id), hashlib.sha256(canonical).hexdigest()
    )


def claim_id(call: Call, customer_id: uuid.UUID) -> str:
    """The id of the claim of a call's key by this customer."""
    path = call.channel or call.endpoint
    parts = [str(customer_id), "POST", path, call.idempotency_key]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()
