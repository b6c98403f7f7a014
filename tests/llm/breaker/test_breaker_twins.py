"""The breaker's rules, on process-local state and on Redis: the same answers."""

import random

import pytest
import redis

from llm.breaker.thresholds import Thresholds
from llm.breaker.types import BreakerAnswer, BreakerState, Event, Pass, Rejected
from tests.llm.breakers import Twins


@pytest.fixture
def twins(server: "redis.Redis", prefix: str) -> Twins:
    return Twins(server, f"{prefix}:breaker")


@pytest.fixture
def opened(twins: Twins) -> Twins:
    """Open since this moment, for a minute."""
    twins.fail(5)
    return twins


@pytest.fixture
def probed(opened: Twins) -> Twins:
    """Half open, its probe under way with a lease of ten seconds."""
    opened.wait(60)
    assert opened.acquire() == Pass(2, probe=True)
    return opened


def spread(twins: Twins, failures: int, completed: int) -> BreakerAnswer:
    """`failures` of `completed` calls, never five failures in a row."""
    told = None
    for number in range(completed - failures):
        twins.ok()
        if number < failures:
            told = twins.fail()
    for _ in range(failures - (completed - failures)):
        told = twins.fail()
    assert told is not None
    return told


def test_breaker__new__lets_everything_pass(twins: Twins) -> None:
    assert twins.acquire() == twins.acquire() == Pass(0)
    look = twins.look()
    assert (look.state, look.completed, look.reason) == (BreakerState.CLOSED, 0, "")
    assert not twins.ok().failing


def test_breaker__nine_completed__never_opens_by_rate(twins: Twins) -> None:
    twins.ok()
    twins.fail(4)
    twins.ok()
    told = twins.fail(3)
    assert twins.look().completed == 9
    assert told == BreakerAnswer(
        BreakerState.CLOSED, BreakerState.CLOSED, 0, "", failing=True
    )


@pytest.mark.parametrize(
    ("failures", "completed", "state"),
    [
        (5, 10, BreakerState.CLOSED),
        (6, 11, BreakerState.OPEN),
        (6, 10, BreakerState.OPEN),
        (6, 12, BreakerState.CLOSED),
        (10, 20, BreakerState.CLOSED),
        (49, 100, BreakerState.CLOSED),
        (50, 99, BreakerState.OPEN),
    ],
)
def test_breaker__share_of_failures__opens_above_half(
    twins: Twins, failures: int, completed: int, state: BreakerState
) -> None:
    assert spread(twins, failures, completed).state is state
    if state is BreakerState.OPEN:
        assert twins.look().reason == f"{failures} of {completed} calls failed"


def test_breaker__five_failures_in_a_row__opens(twins: Twins) -> None:
    twins.ok(1000)
    assert twins.fail(4).state is BreakerState.CLOSED
    told = twins.fail()
    assert told == BreakerAnswer(
        BreakerState.CLOSED, BreakerState.OPEN, 1, "5 failures in a row", True
    )
    assert twins.acquire() == Rejected(BreakerState.OPEN, "5 failures in a row", 60_000)


def test_breaker__success_among_failures__begins_the_row_anew(twins: Twins) -> None:
    twins.ok(100)
    for _ in range(3):
        twins.fail(4)
        twins.ok()
    assert twins.look().state is BreakerState.CLOSED


def test_breaker__successes_told_with_a_failure__count_before_it(twins: Twins) -> None:
    twins.ok(10)
    twins.fail(4)
    told = twins.tell(Event.FAILURE, successes=7)
    assert told.state is BreakerState.CLOSED
    look = twins.look()
    assert (look.completed, look.failures) == (22, 5)
    assert twins.fail(4).reason == "5 failures in a row"


def test_breaker__failures_older_than_the_window__do_not_count(twins: Twins) -> None:
    twins.ok(6)
    twins.fail(4)
    twins.wait(26.9)
    assert twins.look().completed == 10
    twins.wait(3.1)
    assert twins.look().completed == 0
    twins.ok(1)
    twins.fail(4)
    look = twins.look()
    assert (look.state, look.completed, look.failures) == (BreakerState.CLOSED, 5, 4)


def test_breaker__window_moving__loses_a_bucket_at_a_time(twins: Twins) -> None:
    for _ in range(12):
        twins.ok(2)
        twins.wait(3)
    assert twins.look().completed == 18
    twins.wait(15)
    assert twins.look().completed == 8


@pytest.mark.parametrize(
    ("jitter", "retry_ms"), [(0, 60_000), (0.05, 57_000), (0.1, 54_000), (0.5, 54_000), (-1, 60_000)]
)  # fmt: skip
def test_breaker__open__lasts_a_minute_less_at_most_a_tenth(
    twins: Twins, jitter: float, retry_ms: int
) -> None:
    twins.fail(4)
    twins.tell(Event.FAILURE, jitter=jitter)
    assert twins.look().retry_ms == retry_ms
    twins.wait((retry_ms - 1) / 1000)
    assert twins.acquire() == Rejected(BreakerState.OPEN, "5 failures in a row", 1)
    twins.wait(0.001)
    assert twins.acquire() == Pass(2, probe=True)


def test_breaker__half_open__lets_one_probe_pass(probed: Twins) -> None:
    assert probed.look().state is BreakerState.HALF_OPEN
    probed.wait(4)
    for _ in range(3):
        assert probed.acquire() == Rejected(BreakerState.HALF_OPEN, "probing", 6_000)


def test_breaker__probe_succeeded__closes_and_clears_the_window(probed: Twins) -> None:
    told = probed.ok()
    assert told == BreakerAnswer(
        BreakerState.HALF_OPEN, BreakerState.CLOSED, 3, "probe succeeded", False
    )
    look = probed.look()
    assert (look.completed, look.failures) == (0, 0)
    assert probed.acquire() == Pass(3)
    assert probed.fail(4).state is BreakerState.CLOSED


def test_breaker__probe_failed__opens_again_without_growing(probed: Twins) -> None:
    told = probed.fail()
    assert told.state is BreakerState.OPEN
    assert told.reason == "probe: failure"
    assert probed.look().retry_ms == 60_000
    probed.wait(60)
    assert probed.acquire() == Pass(4, probe=True)


def test_breaker__probe_refused_by_its_key__opens_again(probed: Twins) -> None:
    assert probed.tell(Event.AUTH).reason == "probe: auth"


def test_breaker__probe_lease_over__lets_another_pass(probed: Twins) -> None:
    probed.wait(9.999)
    assert isinstance(probed.acquire(), Rejected)
    probed.wait(0.001)
    assert probed.acquire() == Pass(3, probe=True)
    # The first probe comes back at last: it is of an older generation.
    assert probed.tell(Event.FAILURE, generation=2).state is BreakerState.HALF_OPEN
    assert (
        probed.tell(Event.OK, generation=2, successes=1).state is BreakerState.HALF_OPEN
    )
    assert probed.ok().state is BreakerState.CLOSED


def test_breaker__probe_released__is_free_again_with_neither_outcome(
    probed: Twins,
) -> None:
    told = probed.tell(Event.RELEASED)
    assert (told.before, told.state) == (BreakerState.HALF_OPEN, BreakerState.HALF_OPEN)
    assert probed.acquire() == Pass(3, probe=True)


def test_breaker__probe_throttled__waits_and_probes_again(probed: Twins) -> None:
    assert probed.tell(Event.THROTTLED, wait_ms=2_000).state is BreakerState.HALF_OPEN
    assert probed.acquire() == Rejected(BreakerState.HALF_OPEN, "throttled", 2_000)
    probed.wait(2)
    assert probed.acquire() == Pass(3, probe=True)


@pytest.mark.parametrize(
    "event", [Event.OK, Event.FAILURE, Event.AUTH, Event.BILLING, Event.RELEASED]
)
def test_breaker__older_generation__is_ignored(probed: Twins, event: Event) -> None:
    probed.ok()
    before = probed.look()
    probed.tell(event, generation=0, successes=3)
    assert probed.look() == before


@pytest.mark.parametrize("event", [Event.OK, Event.FAILURE, Event.RELEASED])
def test_breaker__told_while_open__stays_as_it_is(opened: Twins, event: Event) -> None:
    before = opened.look()
    opened.tell(event, successes=1)
    assert opened.look() == before


def test_breaker__released_while_closed__counts_for_nothing(twins: Twins) -> None:
    twins.fail()
    twins.tell(Event.RELEASED)
    look = twins.look()
    assert (look.completed, look.failures) == (1, 1)


@pytest.mark.parametrize(
    ("wait_ms", "kept"),
    [(1_000, 1_000), (3_600_000, 60_000), (-5_000, 0), (0, 0)],
)
def test_breaker__throttled__stays_away_as_told_but_a_minute_at_most(
    twins: Twins, wait_ms: int, kept: int
) -> None:
    told = twins.tell(Event.THROTTLED, wait_ms=wait_ms)
    assert (told.state, told.failing) == (BreakerState.CLOSED, False)
    assert twins.look().throttled_ms == kept
    if kept:
        assert twins.acquire() == Rejected(BreakerState.CLOSED, "throttled", kept)
    twins.wait(kept / 1000)
    assert twins.acquire() == Pass(0)
    assert twins.look().completed == 0


def test_breaker__throttled_twice__keeps_the_longer(twins: Twins) -> None:
    twins.tell(Event.THROTTLED, wait_ms=30_000)
    twins.tell(Event.THROTTLED, wait_ms=1_000)
    assert twins.look().throttled_ms == 30_000


def test_breaker__throttled_by_an_older_generation__is_believed(probed: Twins) -> None:
    probed.ok()
    probed.tell(Event.THROTTLED, generation=0, wait_ms=5_000)
    assert probed.look().throttled_ms == 5_000


@pytest.mark.parametrize(
    ("event", "open_s"), [(Event.AUTH, 60), (Event.BILLING, 300)]
)  # fmt: skip
def test_breaker__bad_key_or_no_credit__opens_at_once_with_its_reason(
    twins: Twins, event: Event, open_s: int
) -> None:
    twins.ok(1000)
    told = twins.tell(event)
    assert (told.state, told.reason) == (BreakerState.OPEN, str(event))
    assert twins.acquire() == Rejected(BreakerState.OPEN, str(event), open_s * 1000)
    twins.wait(open_s)
    assert twins.acquire() == Pass(2, probe=True)


def test_breaker__other_figures__hold_for_both(
    server: "redis.Redis", prefix: str
) -> None:
    thresholds = Thresholds(
        buckets=5,
        bucket_ms=2_000,
        least_calls=4,
        share=0.25,
        in_a_row=3,
        open_ms=8_000,
        billing_ms=90_000,
        most_throttle_ms=3_000,
        jitter=0.5,
    )
    twins = Twins(server, f"{prefix}:other", thresholds)
    twins.ok(2)
    twins.wait(9)
    assert twins.look().completed == 2
    twins.wait(1)
    assert twins.look().completed == 0
    twins.ok(3)
    assert twins.fail().state is BreakerState.CLOSED
    assert twins.tell(Event.FAILURE, jitter=1).reason == "2 of 5 calls failed"
    assert twins.look().retry_ms == 4_000
    twins.wait(4)
    twins.acquire()
    twins.ok()
    assert twins.fail(3).reason == "3 failures in a row"
    twins.tell(Event.THROTTLED, wait_ms=10_000)
    assert twins.look().throttled_ms == 3_000


@pytest.mark.parametrize("seed", range(8))
def test_breaker__random_life__is_the_same_for_both(twins: Twins, seed: int) -> None:
    dice = random.Random(seed)
    events = [Event.OK] * 3 + [Event.FAILURE] * (2 + seed) + [*Event]
    seen = set()
    for _ in range(250):
        twins.wait(dice.choice([0, 0, 0.1, 1, 2.5, 31, 60, 300]))
        leave = twins.acquire(dice.choice([1, 20, 90]))
        told = twins.tell(
            dice.choice(events),
            generation=twins.machine.generation - dice.choice([0, 0, 0, 1]),
            successes=dice.choice([0, 0, 1, 7]),
            wait_ms=dice.choice([0, 500, 100_000]),
            jitter=dice.random() / 8,
        )
        seen |= {told.state, type(leave)}
    assert seen == {
        BreakerState.CLOSED,
        BreakerState.OPEN,
        BreakerState.HALF_OPEN,
        Pass,
        Rejected,
    }
