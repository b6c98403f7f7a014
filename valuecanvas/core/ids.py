"""UUIDv7 identifiers (RFC 9562, section 5.7), so that rows sort by time; UUIDs of texts."""

import os
import time
import uuid


def uuid7() -> uuid.UUID:
    """A UUID whose first 48 bits are the Unix time in milliseconds."""
    millis = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10), "big")
    value = (millis & 0xFFFFFFFFFFFF) << 80 | noise
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def uuid_or_none(text: str) -> uuid.UUID | None:
    """The UUID that `text` is; None if it is none."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
