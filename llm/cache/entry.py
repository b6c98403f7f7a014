"""A stored answer: JSON under zstd, encrypted (AES-256-GCM) for its tenant and key.

Who reads Redis, its files or its traffic reads no answer. Who can write to it can delete
answers, but not plant one, move one to another tenant, or run code here.
"""

import os
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson
import zstandard
from cryptography.exceptions import InvalidTag

from llm.cache.secret import answer_cipher

MOST_BYTES = 262_144
_NONCE_SIZE = 12
# Reused, as making one costs twice its use. For the event loop's thread only.
_COMPRESSOR = zstandard.ZstdCompressor(level=1)
_DECOMPRESSOR = zstandard.ZstdDecompressor()


class Form(Enum):
    """The forms in which an answer can be sent without loss."""

    ANY = ""
    WHOLE = "whole"
    # Only as the events that were passed on live; the body has no more than the usage.
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer as it was delivered, with its bill."""

    body: bytes
    at: float
    provider: str
    upstream_model: str
    cost: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    form: Form = Form.ANY


def pack(entry: Entry, *, tenant: str, key: str) -> bytes:
    """The value to store."""
    envelope: dict[str, Any] = {
        "at": entry.at,
        "provider": entry.provider,
        "upstream_model": entry.upstream_model,
        "cost": entry.cost,
        "tokens": [entry.prompt_tokens, entry.completion_tokens, entry.cached_tokens],
        "body": entry.body.decode(),
        "form": entry.form.value,
    }
    packed = _COMPRESSOR.compress(orjson.dumps(envelope))
    nonce = os.urandom(_NONCE_SIZE)
    return nonce + answer_cipher(tenant, key).encrypt(nonce, packed, None)


def unpack(value: bytes, *, tenant: str, key: str) -> Entry | None:
    """The answer, or None for a value that this process would not have stored there."""
    nonce, sealed = value[:_NONCE_SIZE], value[_NONCE_SIZE:]
    try:
        packed = answer_cipher(tenant, key).decrypt(nonce, sealed, None)
        envelope = orjson.loads(_DECOMPRESSOR.decompress(packed))
        return _entry(envelope)
    except (InvalidTag, zstandard.ZstdError, KeyError, AttributeError, TypeError,
            ValueError):  # fmt: skip
        return None


def _entry(envelope: dict[str, Any]) -> Entry:
    """Raises what `unpack` treats as a miss: another release may write other values."""
    prompt, completion, cached = envelope["tokens"]
    return Entry(
        body=envelope["body"].encode(),
        at=envelope["at"],
        provider=envelope["provider"],
        upstream_model=envelope["upstream_model"],
        cost=envelope["cost"],
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
        form=Form(envelope.get("form", "")),
    )
