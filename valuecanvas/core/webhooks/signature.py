"""Secrets and signatures of Standard Webhooks."""

import base64
import hashlib
import hmac
import os
from collections.abc import Iterable

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    return PREFIX + base64.b64encode(os.urandom(SECRET_BYTES)).decode()


def sign(
    secrets: Iterable[str], message_id: str, body: bytes, *, timestamp: int
) -> dict[str, str]:
    """The headers of one attempt to send `body`, with a signature by each secret.

    `timestamp` is that of the attempt, in Unix seconds.
    """
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    signatures = (
        base64.b64encode(hmac.digest(_key(one), signed, hashlib.sha256)).decode()
        for one in secrets
    )
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
    }


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(PREFIX))
