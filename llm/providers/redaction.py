"""Removes secrets from a provider's messages, which may quote our key."""

import re
from typing import Any

HIDDEN = "[hidden]"
# A quoted part of a key as long as this is hidden too.
_PART = 8
# A shorter key is no secret, and part of many words.
_SHORT = 4
_PATTERNS = (
    # user:password@ in a URL, and keys in its query.
    (re.compile(r"(?<=://)[^\s/@\"'<>]+(?=@)"), HIDDEN),
    (
        re.compile(
            r"([?&](?:api[-_]?key|key|(?:access_)?token|sig(?:nature)?|secret)=)"
            r"[^&\s\"'<>]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b(bearer|basic)\s+[^\s\"',;]{8,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    # Keys as providers write them, also with their middle starred out.
    (
        re.compile(r"\b(?:sk|pk|rk|gsk|xai|hf|nvapi|tgp|fw|key)[-_][\w*.…-]{6,}"),
        HIDDEN,
    ),
    (re.compile(r"\bAIza[\w-]{20,}"), HIDDEN),
)


def redact(text: str, key: str) -> str:
    """`text` without `key`, longer parts of it, and what looks like another secret."""
    text = without_key(text, key)
    for pattern, shown in _PATTERNS:
        text = pattern.sub(shown, text)
    return text


def redact_error(error: dict[str, Any], key: str) -> dict[str, Any]:
    """An error whose texts are safe to show."""
    return {
        name: redact(value, key) if isinstance(value, str) else value
        for name, value in error.items()
    }


def without_key(text: str, key: str) -> str:
    """`text` without `key` and longer parts of it; JSON stays JSON."""
    if len(key) < _SHORT:
        return text
    text = text.replace(key, HIDDEN)
    for start in range(len(key) - _PART + 1):
        end = start + _PART
        if key[start:end] not in text:
            continue
        while end < len(key) and key[start : end + 1] in text:
            end += 1
        text = text.replace(key[start:end], HIDDEN)
    return text
