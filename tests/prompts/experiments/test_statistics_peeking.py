"""Looking at every request: what is claimed is true as often as it must be.

FAULTS=full has four times the simulations (`make faults` with this file as ARGS). However
many they are, a rate above what is claimed passes with a chance of DOUBT at most.
"""

import math
import random
from collections.abc import Callable

import pytest

from prompts.experiments import statistics
from prompts.experiments.statistics import ArmSample, compare
from tests.faults.counts import either

ALPHA = 0.05
DOUBT = 0.002
# Of 1,000 simulations of each kind below 0, 0, 0, 1, 1 and 3 claimed falsely: at such a
# rate (0.3 %) 4 of 250, which are too many, come by chance in 7 of 1,000 choices of seeds.
RUNS = either(250, 1000)
# Of 300, 3 missed: at such a rate (1 %) 6 of 150 come in 4 of 1,000 choices of seeds.
INTERVAL_RUNS = either(150, 600)
Draw = Callable[[random.Random, float, int], float]


class Live:
    """Two arms while requests come in; the sums are kept up with each."""

    def __init__(self, seed: int, users: int, share: float, mood: Draw) -> None:
        self.dice = random.Random(seed)
        self.arm = [int(self.dice.random() < share) for _ in range(users)]
        self.mood = [mood(self.dice, 0.0, 0) for _ in range(users)]
        self.kept = [(0.0, 0)] * users
        self.sums = [[0, 0, 0.0, 0.0, 0.0, 0.0, 0] for _ in range(2)]

    def request(self, draw: Draw) -> None:
        # Some users send many requests, most a few.
        user = int(self.dice.random() ** 1.5 * len(self.arm))
        value = draw(self.dice, self.mood[user], self.arm[user])
        total, count = self.kept[user]
        sums = self.sums[self.arm[user]]
        sums[0] += count == 0
        sums[1] += 1
        sums[2] += value
        sums[3] += value * value
        sums[4] += 2 * total * value + value * value
        sums[5] += (total + value) * (count + 1) - total * count
        sums[6] += 2 * count + 1
        self.kept[user] = (total + value, count + 1)

    def ready(self) -> bool:
        return min(self.sums[0][0], self.sums[1][0]) >= statistics.MIN_UNITS

    def peek(self, rare: bool) -> float:
        control, arm = (ArmSample(*sums) for sums in self.sums)
        p = compare(arm, control, ALPHA, rare=rare).p
        return 1.0 if p is None else p


def claimed_after(
    live: Live, draw: Draw, requests: int, *, rare: bool = False
) -> int | None:
    """After how many requests, each of them looked at, a difference was claimed."""
    for number in range(1, requests + 1):
        live.request(draw)
        if live.ready() and live.peek(rare) <= ALPHA:
            return number
    return None


def chance_of_at_most(found: int, runs: int, rate: float) -> float:
    """The probability of so few cases in `runs`, if each happens at `rate`."""
    return sum(
        math.comb(runs, n) * rate**n * (1 - rate) ** (runs - n)
        for n in range(found + 1)
    )


def calm(dice: random.Random, mood: float, arm: int) -> float:
    return 1.0


def moody(dice: random.Random, mood: float, arm: int) -> float:
    return dice.gammavariate(2, 0.5)


# What is drawn, users, requests, the share of the second arm, is it rare?
A_A: dict[str, tuple[Draw, Draw, int, int, float, bool]] = {
    "errors": (lambda d, m, a: float(d.random() < 0.05), calm, 400, 1000, 0.5, True),
    "clustered errors": (
        lambda d, m, a: float(d.random() < 0.08 * m), moody, 250, 1000, 0.5, True,
    ),
    "few in one arm": (
        lambda d, m, a: float(d.random() < 0.05), calm, 800, 1200, 0.1, True,
    ),
    "heavy tails": (
        lambda d, m, a: d.lognormvariate(0, 1.2), calm, 400, 1000, 0.5, False,
    ),
    "clustered latencies": (
        lambda d, m, a: m * d.lognormvariate(0, 0.5), moody, 250, 1000, 0.5, False,
    ),
    "thumbs": (
        lambda d, m, a: 1.0 if d.random() < 0.8 else -1.0, calm, 400, 1000, 0.5, False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", A_A)
def test_a_a__peeked_at_with_each_request__false_claims_are_within_alpha(
    name: str,
) -> None:
    draw, mood, users, requests, share, rare = A_A[name]
    false = sum(
        claimed_after(Live(seed, users, share, mood), draw, requests, rare=rare)
        is not None
        for seed in range(RUNS)
    )
    assert chance_of_at_most(false, RUNS, ALPHA) <= DOUBT


def test_a_a__plain_t_test_peeked_at__claims_far_too_much() -> None:
    """The simulation is able to find what it looks for."""

    def plain(live: Live) -> bool:
        control, arm = (ArmSample(*sums) for sums in live.sums)
        error = math.sqrt(arm.variance() + control.variance())
        return abs(arm.mean - control.mean) > 1.96 * error

    false = 0
    for seed in range(200):
        live = Live(seed, 400, 0.5, calm)
        for _ in range(1500):
            live.request(lambda d, m, a: d.gauss(0, 1))
            if live.ready() and plain(live):
                false += 1
                break
    assert false > 0.15 * 200


BETTER: dict[str, tuple[Draw, Draw, int, int, bool]] = {
    "errors, 10 to 8 %": (
        lambda d, m, a: float(d.random() < (0.08 if a else 0.10)), calm, 5000, 20_000,
        True,
    ),
    "cost": (
        lambda d, m, a: d.lognormvariate(0, 0.7) * (0.8 if a else 1), calm, 2000, 6000,
        False,
    ),
    "latency": (
        lambda d, m, a: m * d.lognormvariate(0, 0.5) * (0.8 if a else 1), moody, 3000,
        12_000, False,
    ),
    "thumbs": (
        lambda d, m, a: 1.0 if d.random() < (0.80 if a else 0.75) else -1.0, calm, 4000,
        12_000, False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BETTER)
def test_difference__of_a_fifth__is_found(name: str) -> None:
    draw, mood, users, requests, rare = BETTER[name]
    live = Live(7, users, 0.5, mood)
    found = claimed_after(live, draw, requests, rare=rare)
    assert found is not None
    control, arm = (ArmSample(*sums) for sums in live.sums)
    lower = arm.mean < control.mean
    assert lower != (name == "thumbs")


def test_interval__looked_at_all_the_time__has_the_truth_in_it() -> None:
    missed = 0
    for seed in range(INTERVAL_RUNS):
        live = Live(seed, 300, 0.5, calm)
        for _ in range(800):
            live.request(lambda d, m, a: d.gauss(5 + a, 2))
            if not live.ready():
                continue
            control, arm = (ArmSample(*sums) for sums in live.sums)
            found = compare(arm, control, ALPHA).interval
            own = statistics.interval(arm, ALPHA)
            if not (found.low <= 1 <= found.high and own.low <= 6 <= own.high):
                missed += 1
                break
    # Two intervals, each of which may miss in ALPHA of all cases.
    assert chance_of_at_most(missed, INTERVAL_RUNS, 2 * ALPHA) <= DOUBT
