"""A stored answer: JSON under zstd, with its tenant, key and MAC inside.

An attacker who can write to Redis can delete answers, but not plant one, move one to
another tenant, or run code here.
"""

import hmac
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson
import zstandard

from llm.cache.secret import secret

MOST_BYTES = 262_144
# Most bytes of an unpacked value: a planted one must not fill memory.
_MOST_UNPACKED = 2 * MOST_BYTES + 65_536
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
        "tenant": tenant,
        "key": key,
        "at": entry.at,
        "provider": entry.provider,
        "upstream_model": entry.upstream_model,
        "cost": entry.cost,
        "tokens": [entry.prompt_tokens, entry.completion_tokens, entry.cached_tokens],
        "body": entry.body.decode(),
        "form": entry.form.value,
    }
    envelope["mac"] = _mac(envelope)
    return _COMPRESSOR.compress(orjson.dumps(envelope))


def unpack(value: bytes, *, tenant: str, key: str) -> Entry | None:
    """The answer, or None for a value that this process would not have stored there."""
    try:
        # A frame that says its size is unpacked to that size, whatever we allow.
        if zstandard.frame_content_size(value) > _MOST_UNPACKED:
            return None
        raw = _DECOMPRESSOR.decompress(value, max_output_size=_MOST_UNPACKED)
        envelope = orjson.loads(raw)
        claimed = envelope.pop("mac")
        if not hmac.compare_digest(str(claimed), _mac(envelope)):
            return None
        if envelope["tenant"] != tenant or envelope["key"] != key:
            return None
        return _entry(envelope)
    except (zstandard.ZstdError, orjson.JSONDecodeError, KeyError, AttributeError,
            TypeError, ValueError):  # fmt: skip
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


def _mac(envelope: dict[str, Any]) -> str:
    canonical = orjson.dumps(envelope, option=orjson.OPT_SORT_KEYS)
    return hmac.new(secret(), canonical, "sha256").hexdigest()
