"""S3: how long a key's check takes says nothing of which keys there are."""

import hmac
import math
import secrets
import statistics
import time
import uuid

import pytest

from billing.auth import key_check, keys
from billing.auth.key_facts import KeyFacts
from billing.auth.principal import Principal
from tests.faults.counts import either
from valuecanvas.core.errors import NotAuthenticated

COUNT = either(2_000, 10_000)
# Either of them is enough.
LEAST_P, MOST_DELTA_NS = 0.01, 50_000


def make_facts(digest: str) -> KeyFacts:
    who = Principal(
        customer_id=uuid.uuid4(), user_id="u", tier="free", team="", key="k",
        scopes=frozenset({"llm"}), allowed_models=frozenset(), suspended=False,
        expires_at=None,
    )  # fmt: skip
    return KeyFacts(digest, revoked=False, principal=who)


def time_refusal(text: str, found: KeyFacts | None) -> int:
    started = time.perf_counter_ns()
    try:
        key_check.prove(text, found)
    except NotAuthenticated:
        return time.perf_counter_ns() - started
    raise AssertionError("The key was not refused.")


def compare_ranks(first: list[int], second: list[int]) -> float:
    """The p-value of Mann and Whitney's test, two-sided, by its normal approximation."""
    marked = sorted([(one, 0) for one in first] + [(one, 1) for one in second])
    rank_sum, at = 0.0, 0
    while at < len(marked):
        end = at
        while end < len(marked) and marked[end][0] == marked[at][0]:
            end += 1
        mean_rank = (at + 1 + end) / 2
        rank_sum += mean_rank * sum(1 for _, which in marked[at:end] if which == 0)
        at = end
    n, m = len(first), len(second)
    u = rank_sum - n * (n + 1) / 2
    z = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return math.erfc(abs(z) / math.sqrt(2))


def test_ranks__of_other_and_of_like_times__are_told_apart() -> None:
    """The test can fail: a shift by a third of the spread would be seen."""
    like = [secrets.randbelow(1000) for _ in range(2000)]
    assert compare_ranks(like, [one + 300 for one in like]) < LEAST_P
    assert compare_ranks(like, like) > LEAST_P


@pytest.mark.parametrize("case", ["near miss", "other digest"])
def test_prove__known_and_unknown_keys__take_the_same_time(case: str) -> None:
    text, _, digest = keys.generate()
    other = keys.generate()[2]
    # A digest that differs from the text's own in its last character alone.
    wrong = keys.digest(text)[:-1] + ("0" if digest[-1] != "0" else "1")
    known = make_facts(wrong if case == "near miss" else other)
    times: dict[bool, list[int]] = {True: [], False: []}
    for number in range(2 * COUNT):
        there = number % 2 == 0
        times[there].append(time_refusal(text, known if there else None))
    p = compare_ranks(times[True], times[False])
    delta = abs(statistics.median(times[True]) - statistics.median(times[False]))
    assert p > LEAST_P or delta < MOST_DELTA_NS, (p, delta)


def test_prove__of_an_unknown_key__compares_a_digest_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the times measure, without a clock."""
    compared: list[tuple[str, str]] = []
    compare = hmac.compare_digest

    def note(first: str, second: str) -> bool:
        compared.append((first, second))
        return compare(first, second)

    monkeypatch.setattr(hmac, "compare_digest", note)
    text, _, digest = keys.generate()
    for found in (None, make_facts(keys.generate()[2])):
        with pytest.raises(NotAuthenticated):
            key_check.prove(text, found)
    assert [(len(first), second) for first, second in compared] == [(64, digest)] * 2
