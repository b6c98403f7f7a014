"""Sticky bucketing: assigns subjects to 10,000 buckets, and buckets to owners.

The bucket is the first 8 bytes of SHA-256 over `salt NUL subject`, as a big-endian
number, modulo 10,000. It is part of the product's contract (docs pin test vectors):
the same subject gets the same answer in every process, release and SDK.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Span:
    """The buckets from `start` up to, not including, `end` belong to `owner`."""

    owner: str
    start: int
    end: int


Allocation = tuple[Span, ...]


def bucket(salt: str, subject: str) -> int:
    """The bucket of `subject`, 0 to 9,999. Different salts are uncorrelated."""
    digest = hashlib.sha256(f"{salt}\0{subject}".encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()[:8]) % BUCKETS


def digest(subject: str) -> int:
    """A subject as the ledger keeps it: 64 bits, signed as PostgreSQL's bigint is."""
    found = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(found[:8], signed=True)


def owner(allocation: Allocation, at: int) -> str | None:
    """The owner of the bucket `at`; None: it has none."""
    for span in allocation:
        if span.start <= at < span.end:
            return span.owner
    return None


def allocate(weights: Mapping[str, int], before: Allocation = ()) -> Allocation:
    """Buckets for each owner by `weights` (hundredths of a percent, at most 10,000 in
    sum), moving as few buckets as possible away from their owners in `before`.

    An owner that keeps or grows its weight loses no bucket; one that shrinks gives up
    its last ones. So growing one arm only moves subjects into it. Raises ValueError.
    """
    if any(weight < 0 for weight in weights.values()):
        raise ValueError("A weight is negative.")
    if sum(weights.values()) > BUCKETS:
        raise ValueError("The weights pass 100 %.")
    kept = _keep_spans(weights, before)
    held = dict.fromkeys(weights, 0)
    for span in kept:
        held[span.owner] += span.end - span.start
    lacking = [(name, weight - held[name]) for name, weight in weights.items()]
    return _merge([*kept, *_fill(_gaps(kept), lacking)])


def dump_allocation(allocation: Allocation) -> list[list[str | int]]:
    """The allocation as JSON."""
    return [[span.owner, span.start, span.end] for span in allocation]


def load_allocation(rows: Sequence[Sequence[str | int]]) -> Allocation:
    """The allocation from JSON that `dump_allocation` wrote."""
    return tuple(Span(str(name), int(start), int(end)) for name, start, end in rows)


def _keep_spans(weights: Mapping[str, int], before: Allocation) -> list[Span]:
    """The buckets that each owner keeps, the first buckets first."""
    left = dict(weights)
    kept = []
    for span in sorted(before, key=lambda one: one.start):
        size = min(span.end - span.start, left.get(span.owner, 0))
        if size:
            kept.append(Span(span.owner, span.start, span.start + size))
            left[span.owner] -= size
    return kept


def _gaps(kept: Sequence[Span]) -> list[tuple[int, int]]:
    gaps, at = [], 0
    for span in kept:
        if span.start > at:
            gaps.append((at, span.start))
        at = span.end
    if at < BUCKETS:
        gaps.append((at, BUCKETS))
    return gaps


def _fill(
    gaps: Sequence[tuple[int, int]], lacking: Sequence[tuple[str, int]]
) -> list[Span]:
    """Assign the free buckets, from the first on, to owners that lack some."""
    added = []
    free = list(gaps)
    for name, wanted in lacking:
        left = wanted
        while left > 0:
            start, end = free.pop(0)
            size = min(left, end - start)
            added.append(Span(name, start, start + size))
            left -= size
            if start + size < end:
                free.insert(0, (start + size, end))
    return added


def _merge(spans: Sequence[Span]) -> Allocation:
    merged: list[Span] = []
    for span in sorted(spans, key=lambda one: one.start):
        last = merged[-1] if merged else None
        if last is not None and (last.owner, last.end) == (span.owner, span.start):
            merged[-1] = Span(span.owner, last.start, span.end)
        else:
            merged.append(span)
    return tuple(merged)
