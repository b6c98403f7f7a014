"""Sticky bucketing: pinned vectors, shares, and nobody moves who need not."""

import random
from collections import Counter

import pytest

from tests.buckets import weights_of
from valuecanvas.core.targeting import bucketing
from valuecanvas.core.targeting.bucketing import BUCKETS, Allocation, Span

SUBJECTS = [f"user-{number}" for number in range(100_000)]


@pytest.mark.parametrize(
    ("salt", "subject", "expected"),
    [
        ("", "", 3192),
        ("flag:new_canvas_ui", "user-123", 1826),
        ("rollout:1", "user-123", 1701),
        ("experiment", "Zoë 🙂", 9120),
        ("a", "b\0c", 6871),
    ],
)
def test_bucket__test_vectors__are_what_other_sdks_compute(
    salt: str, subject: str, expected: int
) -> None:
    assert bucketing.bucket(salt, subject) == expected


def test_bucket__lone_surrogate__still_has_a_place() -> None:
    assert 0 <= bucketing.bucket("salt", "\ud800") < BUCKETS


def test_bucket__100_000_subjects__fill_every_percent_alike() -> None:
    found = Counter(bucketing.bucket("even", one) // 100 for one in SUBJECTS)
    assert len(found) == 100
    assert all(abs(count - 1000) < 150 for count in found.values())


def test_bucket__two_salts__are_uncorrelated() -> None:
    both = sum(
        1
        for one in SUBJECTS
        if bucketing.bucket("one", one) < 5000 and bucketing.bucket("two", one) < 5000
    )
    assert abs(both / len(SUBJECTS) - 0.25) < 0.005


def holders(allocation: Allocation) -> list[str | None]:
    return [bucketing.owner(allocation, at) for at in range(BUCKETS)]


@pytest.mark.parametrize("seed", range(40))
def test_allocate__weights_change__only_moves_into_who_grows(seed: int) -> None:
    chance = random.Random(seed)
    names = ["a", "b", "c", "d", "e"][: chance.randint(1, 5)]
    allocation: Allocation = ()
    weights = dict.fromkeys(names, 0)
    for _ in range(12):
        before, old = holders(allocation), weights
        weights = drawn(chance, names)
        allocation = bucketing.allocate(weights, allocation)
        assert {k: v for k, v in weights.items() if v} == weights_of(allocation)
        now = holders(allocation)
        moved = [(a, b) for a, b in zip(before, now, strict=True) if a != b]
        for left, joined in moved:
            assert left is None or weights[left] < old[left]
            assert joined is None or weights[joined] > old[joined]
        grown = sum(max(0, weights[name] - old[name]) for name in names)
        assert sum(1 for _, joined in moved if joined is not None) == grown


def drawn(chance: random.Random, names: list[str]) -> dict[str, int]:
    cuts = sorted(chance.randint(0, BUCKETS) for _ in names)
    return {
        name: high - low
        for name, low, high in zip(names, [0, *cuts], cuts, strict=False)
    }


def test_allocate__an_owner_goes__its_buckets_are_given_away() -> None:
    first = bucketing.allocate({"a": 5000, "b": 5000})
    second = bucketing.allocate({"a": 10_000}, first)
    assert second == (Span("a", 0, BUCKETS),)


def test_allocate__same_weights__changes_nothing() -> None:
    first = bucketing.allocate({"a": 3000, "b": 3000, "c": 4000})
    second = bucketing.allocate({"a": 3500, "b": 2500, "c": 4000}, first)
    assert bucketing.allocate({"a": 3500, "b": 2500, "c": 4000}, second) == second


@pytest.mark.parametrize(
    ("weights", "complaint"),
    [({"a": -1}, "negative"), ({"a": 6000, "b": 4001}, "pass 100 %")],
)
def test_allocate__impossible_weights__are_refused(
    weights: dict[str, int], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        bucketing.allocate(weights)


def test_owner__bucket_of_nobody__is_none() -> None:
    assert bucketing.owner(bucketing.allocate({"a": 10}), 10) is None


def test_dumped__and_loaded__is_the_same() -> None:
    allocation = bucketing.allocate({"a": 10, "b": 9000})
    assert (
        bucketing.load_allocation(bucketing.dump_allocation(allocation)) == allocation
    )
