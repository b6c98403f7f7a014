"""Minute limits by the clock: the script in Redis and its twin in the process agree."""

import random
from collections.abc import Iterator

import pytest
from redis import Redis

from billing.minute_limits import MinuteLimits
from llm.limits.window import BUCKET_MS, BUCKETS, BUSY_MS
from tests.llm.limit_twins import InProcess, InRedis, connect

# The start of a bucket.
START = 1_700_000_000_000
LEASE = 120_000
MINUTE = 60_000
# Until a request counted at the start of a bucket is forgotten.
ALL = BUCKETS * BUCKET_MS


@pytest.fixture
def redis() -> Iterator[Redis]:
    with connect() as client:
        yield client


@pytest.fixture(params=["process", "redis"])
def twin(request, redis: Redis) -> InProcess | InRedis:
    return InProcess() if request.param == "process" else InRedis(redis)


def rpm(limit: int) -> MinuteLimits:
    return MinuteLimits(requests=limit)


def tpm(limit: int) -> MinuteLimits:
    return MinuteLimits(tokens=limit)


def at_once(limit: int) -> MinuteLimits:
    return MinuteLimits(concurrent=limit)


def test_requests__up_to_the_limit__are_counted_then_refused(twin):
    slot = START // BUCKET_MS
    for left in (2, 1, 0):
        taken = twin.take(START, rpm(3), f"r{left}", 5, LEASE)
        assert taken == (0, slot, left, -1, -1, ALL, ALL)
    assert twin.take(START + 500, rpm(3), "r", 5, LEASE) == (1, 0, ALL - 500)


def test_requests__over_the_minute__are_never_more_than_the_limit(twin):
    """The last of a minute count in the next one: no double burst at the boundary."""
    for n in range(10):
        assert twin.take(START + 59_900, rpm(10), f"a{n}", 0, LEASE)[0] == 0
    for at in range(START + 60_000, START + 59_900 + MINUTE, 1_000):
        assert twin.take(at, rpm(10), "b", 0, LEASE)[0] == 1


def test_requests__after_the_wait_told__are_accepted_and_not_before(twin):
    for n in range(3):
        twin.take(START + n * 10_000, rpm(3), f"a{n}", 0, LEASE)
    at = START + 25_000
    refused, left, wait = twin.take(at, rpm(3), "b", 0, LEASE)
    assert (refused, left) == (1, 0)
    assert twin.take(at + wait - 1, rpm(3), "c", 0, LEASE) == (1, 0, 1)
    assert twin.take(at + wait, rpm(3), "d", 0, LEASE)[0] == 0


def test_requests__from_two_buckets__tell_when_some_and_when_all_are_back(twin):
    twin.take(START, rpm(9), "a", 0, LEASE)
    reply = twin.take(START + 20_500, rpm(9), "b", 0, LEASE)
    assert reply[5:] == (ALL - 20_500, ALL - 500)


def test_tokens__that_do_not_fit__wait_until_enough_have_gone(twin):
    twin.take(START, tpm(1000), "a", 300, LEASE)
    twin.take(START + 10_000, tpm(1000), "b", 600, LEASE)
    assert twin.take(START + 20_000, tpm(1000), "c", 100, LEASE)[3] == 0
    refusals = [
        twin.take(START + 30_000, tpm(1000), "d", tokens, LEASE)
        for tokens in (300, 301, 901, 1000)
    ]
    waits = [ALL - 30_000, ALL - 20_000, ALL - 10_000, ALL - 10_000]
    assert refusals == [(2, 0, wait) for wait in waits]


def test_tokens__that_do_not_fit__tell_what_is_left(twin):
    twin.take(START, tpm(1000), "a", 700, LEASE)
    assert twin.take(START, tpm(1000), "b", 301, LEASE) == (2, 300, ALL)


def test_refusal__of_both_windows__is_the_one_that_lasts(twin):
    limits = MinuteLimits(requests=2, tokens=100)
    twin.take(START, limits, "a", 10, LEASE)
    twin.take(START + 10_000, limits, "b", 90, LEASE)
    reply = twin.take(START + 20_000, limits, "c", 50, LEASE)
    assert reply == (2, 0, ALL - 10_000)
    reply = twin.take(START + 20_000, limits, "c", 10, LEASE)
    assert reply == (1, 0, ALL - 20_000)


def test_refusal__of_one_limit__counts_for_none(twin):
    limits = MinuteLimits(requests=2, tokens=100, concurrent=1)
    twin.take(START, limits, "a", 10, LEASE)
    assert twin.take(START, limits, "b", 10, LEASE) == (3, 0, BUSY_MS)
    twin.give(START, "a", 0, 0, 0)
    assert twin.take(START, limits, "c", 90, LEASE)[2:5] == (0, 0, 0)


def test_at_once__one_given_back__makes_room_for_one(twin):
    assert twin.take(START, at_once(2), "a", 9, LEASE) == (0, 0, -1, -1, 1, 0, 0)
    assert twin.take(START, at_once(2), "b", 9, LEASE) == (0, 0, -1, -1, 0, 0, 0)
    assert twin.take(START, at_once(2), "c", 9, LEASE) == (3, 0, BUSY_MS)
    for _ in range(2):
        twin.give(START, "a", 0, 0, 0)
    assert twin.take(START, at_once(2), "d", 9, LEASE)[0] == 0
    assert twin.take(START, at_once(2), "e", 9, LEASE)[0] == 3


def test_at_once__lease_over__makes_room(twin):
    twin.take(START, at_once(1), "a", 0, 20_000)
    assert twin.take(START + 19_999, at_once(1), "b", 0, LEASE)[0] == 3
    assert twin.take(START + 20_000, at_once(1), "c", 0, LEASE)[0] == 0


def test_give__fewer_tokens_than_asked__leaves_the_difference(twin):
    slot = twin.take(START, tpm(1000), "a", 900, LEASE)[1]
    twin.give(START + 10_000, "a", slot, 0, -800)
    assert twin.take(START + 10_000, tpm(1000), "b", 900, LEASE)[3] == 0


def test_give__more_tokens_than_asked__takes_the_difference(twin):
    slot = twin.take(START, tpm(1000), "a", 100, LEASE)[1]
    twin.give(START + 10_000, "a", slot, 0, 1400)
    assert twin.take(START + 10_000, tpm(1000), "b", 1, LEASE) == (2, 0, ALL - 10_000)


def test_give__all_of_a_request__is_as_if_it_never_was(twin):
    limits = MinuteLimits(requests=1, tokens=100, concurrent=1)
    slot = twin.take(START, limits, "a", 100, LEASE)[1]
    twin.give(START, "a", slot, -1, -100)
    assert twin.take(START, limits, "b", 100, LEASE)[2:5] == (0, 0, 0)


def test_give__more_than_was_counted__never_adds_room(twin):
    limits = MinuteLimits(requests=2, tokens=100)
    slot = twin.take(START, limits, "a", 10, LEASE)[1]
    for _ in range(3):
        twin.give(START, "a", slot, -1, -10)
    twin.give(START, "x", slot - 1, -1, -10)
    assert twin.take(START, limits, "b", 10, LEASE)[2:4] == (1, 90)


def test_give__of_a_minute_ago__changes_nothing(twin):
    slot = twin.take(START, rpm(2), "a", 0, LEASE)[1]
    twin.take(START + ALL, rpm(2), "b", 0, LEASE)
    twin.give(START + ALL, "a", slot, -1, 0)
    assert twin.take(START + ALL, rpm(2), "c", 0, LEASE)[2] == 0


def test_clock__set_back_a_little__forgets_nothing(twin):
    twin.take(START + 3_000, rpm(1), "a", 0, LEASE)
    assert twin.take(START, rpm(1), "b", 0, LEASE) == (1, 0, ALL + 2_000)


def test_clock__set_back_by_an_hour__locks_nobody_out(twin):
    twin.take(START + 3_600_000, rpm(1), "a", 0, LEASE)
    assert twin.take(START, rpm(1), "b", 0, LEASE)[0] == 0


def test_limit__lowered_below_what_is_used__waits_until_it_fits(twin):
    for n in range(4):
        twin.take(START + n * 2_000, rpm(9), f"a{n}", 0, LEASE)
    at = START + 8_000
    assert twin.take(at, rpm(2), "b", 0, LEASE) == (1, 0, ALL - 4_000)


def test_limit__of_zero__refuses_all(twin):
    assert twin.take(START, rpm(0), "a", 0, LEASE) == (1, 0, ALL)
    assert twin.take(START, tpm(0), "a", 1, LEASE) == (2, 0, ALL)
    assert twin.take(START, at_once(0), "a", 0, LEASE) == (3, 0, BUSY_MS)


@pytest.mark.parametrize("seed", range(5))
def test_twins__a_random_life__answer_alike(redis, seed):
    chance = random.Random(seed)
    twins, at, held = (InProcess(), InRedis(redis)), START, []
    for n in range(400):
        at += chance.choice((0, 10, 700, 2_000, 2_001, 9_000))
        if held and chance.random() < 0.4:
            given = held.pop(chance.randrange(len(held)))
            more = chance.choice(((-1, -30), (0, -20), (0, 25), (0, 0)))
            for twin in twins:
                twin.give(at, *given, *more)
            continue
        limits = MinuteLimits(*(chance.choice((None, 3, m)) for m in (8, 200, 5)))
        asked = chance.randrange(3) if limits.tokens == 3 else chance.randrange(60)
        first, second = (t.take(at, limits, f"r{n}", asked, 30_000) for t in twins)
        assert first == second, (seed, n)
        if not first[0]:
            held.append((f"r{n}", first[1]))


@pytest.mark.parametrize("seed", range(3))
def test_windows__requests_at_random_times__keep_every_60_seconds(seed):
    chance, twin, at = random.Random(seed), InProcess(), START
    accepted: list[tuple[int, int]] = []
    for n in range(3_000):
        at += chance.choice((0, 1, 50, 1_999, 5_000))
        asked = chance.randrange(1, 40)
        limits = MinuteLimits(requests=20, tokens=300)
        if twin.take(at, limits, f"r{n}", asked, LEASE)[0] == 0:
            accepted.append((at, asked))
        last = [one for one in accepted if one[0] > at - MINUTE]
        assert len(last) <= 20
        assert sum(tokens for _, tokens in last) <= 300
    assert len(accepted) > 100
