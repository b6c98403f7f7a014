"""Builds response headers for minute limits, with OpenAI's and the IETF's names.

RateLimit fields: draft-ietf-httpapi-ratelimit-headers-10.
"""

import math
from collections.abc import Mapping

from llm.limits.types import LimitKind, LimitLeft, LimitRefused, MinuteUse

LISTS = ("RateLimit-Policy", "RateLimit")
# Name and parameters of each policy. No token unit is registered: hence our own.
POLICIES = {
    LimitKind.REQUESTS: ("minute", ";w=60"),
    LimitKind.TOKENS: ("tokens", ';w=60;vc-unit="tokens"'),
    LimitKind.CONCURRENT: ("concurrent", ';qu="concurrent-requests"'),
}


def duration(seconds: int) -> str:
    """As OpenAI writes durations: 1s, 6m0s, 2h3m4s."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{left}s"
    return f"{minutes}m{left}s" if minutes else f"{left}s"


def headers(answer: MinuteUse | LimitRefused) -> dict[str, str]:
    """The headers of the tightest limits; `merge` them with the daily quota's."""
    if isinstance(answer, LimitRefused):
        return _refused(answer)
    lefts = {kind: answer.remaining(kind) for kind in POLICIES}
    found = {kind: left for kind, left in lefts.items() if left is not None}
    sent = _items(found)
    if LimitKind.TOKENS in found:
        sent |= _openai(LimitKind.TOKENS, found[LimitKind.TOKENS])
    return sent


def merge(*parts: Mapping[str, str]) -> dict[str, str]:
    """All headers; lists are joined, other headers are replaced by later ones."""
    sent: dict[str, str] = {}
    for part in parts:
        for name, value in part.items():
            joined = name in LISTS and name in sent
            sent[name] = f"{sent[name]}, {value}" if joined else value
    return sent


def _refused(answer: LimitRefused) -> dict[str, str]:
    wait = answer.retry_after_s
    left = LimitLeft(answer.limit, answer.left, wait, wait)
    sent = _items({answer.kind: left})
    if answer.kind is not LimitKind.CONCURRENT:
        sent |= _openai(answer.kind, left)
    if wait is None:
        sent["x-should-retry"] = "false"
    else:
        sent["Retry-After"] = str(_seconds(wait))
    return sent


def _items(lefts: Mapping[LimitKind, LimitLeft]) -> dict[str, str]:
    if not lefts:
        return {}
    policies, items = [], []
    for kind, left in lefts.items():
        name, parameters = POLICIES[kind]
        policies.append(f'"{name}";q={left.limit}{parameters}')
        more = "" if left.more_s is None else f";t={_seconds(left.more_s)}"
        items.append(f'"{name}";r={left.left}{more}')
    return dict(zip(LISTS, (", ".join(policies), ", ".join(items)), strict=True))


def _openai(kind: LimitKind, left: LimitLeft) -> dict[str, str]:
    sent = {
        f"x-ratelimit-limit-{kind}": str(left.limit),
        f"x-ratelimit-remaining-{kind}": str(left.left),
    }
    if left.full_s is not None:
        sent[f"x-ratelimit-reset-{kind}"] = duration(_seconds(left.full_s))
    return sent


def _seconds(seconds: float) -> int:
    return max(1, math.ceil(seconds))
