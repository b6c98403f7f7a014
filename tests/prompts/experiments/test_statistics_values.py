"""Samples, comparisons and the check of the split, value by value."""

import random
from collections.abc import Sequence

import pytest

from prompts.experiments import statistics
from prompts.experiments.statistics import (
    MIN_EVENTS,
    MIN_UNITS,
    ArmSample,
    Interval,
    compare,
    interval,
    split_p,
)


def sample(*users: Sequence[float]) -> ArmSample:
    """From each user's values."""
    sums = [(sum(one), len(one)) for one in users]
    values = [value for one in users for value in one]
    return ArmSample(
        units=len(users),
        count=len(values),
        total=sum(values),
        squares=sum(value * value for value in values),
        unit_squares=sum(s * s for s, _ in sums),
        unit_cross=sum(s * n for s, n in sums),
        unit_counts=sum(n * n for _, n in sums),
    )


def steady(users: int, *values: float) -> ArmSample:
    return sample(*([list(values)] * users))


def test_sample__one_request_each__is_the_usual_variance_of_a_mean() -> None:
    found = sample([1.0], [2.0], [3.0], [6.0])
    assert found.mean == 3
    assert found.spread() == pytest.approx(3.5)
    assert found.variance() == pytest.approx(14 / 3 / 4)


def test_sample__same_values_by_fewer_users__is_less_certain() -> None:
    dice = random.Random(1)
    values = [dice.gauss(user, 0.1) for user in range(100) for _ in range(4)]
    apart = sample(*([one] for one in values))
    together = sample(*(values[i : i + 4] for i in range(0, 400, 4)))
    assert together.mean == apart.mean
    assert together.variance() == pytest.approx(4 * apart.variance(), rel=0.05)


def test_sample__nothing_in_it__knows_nothing() -> None:
    assert ArmSample().mean == 0
    assert ArmSample().spread() == 0
    assert ArmSample().variance() == float("inf")


def test_sample__sum_of_two__is_of_both() -> None:
    assert sample([1.0], [2.0, 3.0]) + sample([4.0]) == sample([1.0], [2.0, 3.0], [4.0])


@pytest.mark.parametrize(
    ("users", "rare", "known"),
    [
        (MIN_UNITS - 1, False, False),
        (MIN_UNITS, False, True),
        (MIN_UNITS, True, True),  # one in two of each user is one
    ],
)
def test_compare__few_users__concludes_nothing(
    users: int, rare: bool, known: bool
) -> None:
    found = compare(steady(users, 0, 1), steady(users, 0, 1), 0.05, rare=rare)
    assert (found.p is not None) == known
    assert (found.interval is not None) == known
    assert not found.is_significant(0.05)


def test_compare__rare_thing_seen_too_seldom__concludes_nothing() -> None:
    quiet = steady(200, 0.0)
    loud = steady(200, 0.0) + steady(MIN_EVENTS - 1, 1.0)
    assert compare(loud, quiet, 0.05, rare=True).p is None
    assert compare(loud, quiet, 0.05).p is not None


def test_compare__all_values_the_same__is_no_difference() -> None:
    found = compare(steady(60, 3.0), steady(80, 3.0), 0.05)
    assert found.interval == Interval(0, 0)
    assert not found.is_significant(0.05)


def test_compare__small_arm_without_errors__is_not_believed_to_have_none() -> None:
    control = steady(400, 0.0) + steady(24, 1.0)
    found = compare(steady(50, 0.0), control, 0.05, rare=True)
    assert not found.is_significant(0.05)
    assert found.interval.high > 0


def test_compare__clear_difference__interval_and_p_agree() -> None:
    dice = random.Random(3)
    control = sample(*([dice.gauss(10, 2)] for _ in range(500)))
    arm = sample(*([dice.gauss(11, 2)] for _ in range(500)))
    found = compare(arm, control, 0.05)
    assert found.difference == pytest.approx(arm.mean - control.mean)
    assert found.interval.low > 0
    assert found.p < 0.05
    assert found.is_significant(0.05)
    assert found.interval.excludes_zero()


def test_compare__at_any_alpha__p_is_below_it_where_the_interval_leaves_zero_out() -> (
    None
):
    dice = random.Random(4)
    for number in range(200):
        control = sample(*([dice.gauss(10, 2)] for _ in range(60 + number)))
        arm = sample(*([dice.gauss(10.6, 2)] for _ in range(60 + number)))
        for alpha in (0.01, 0.05, 0.2):
            found = compare(arm, control, alpha)
            assert found.is_significant(alpha) == found.interval.excludes_zero()


def test_interval__more_users__is_narrower() -> None:
    assert interval(steady(MIN_UNITS - 1, 0, 1), 0.05) is None
    widths = []
    for users in (50, 500, 5000):
        dice = random.Random(5)
        found = interval(sample(*([dice.random()] for _ in range(users))), 0.05)
        widths.append(found.high - found.low)
    assert widths[0] > widths[1] > widths[2]


def test_split__as_asked__is_believed() -> None:
    assert split_p({"a": 503, "b": 497}, {"a": 5000, "b": 5000}) > 0.05
    assert split_p({}, {"a": 5000, "b": 5000}) == 1


def test_split__lost_users__is_seen() -> None:
    assert split_p({"a": 1000, "b": 800}, {"a": 5000, "b": 5000}) < 0.01
    assert split_p({"a": 900, "b": 90}, {"a": 9000, "b": 1000}) > 0.05


def test_split__users_in_an_arm_without_weight__is_seen_at_once() -> None:
    assert split_p({"a": 10, "b": 1}, {"a": 10_000, "b": 0}) == 0
    assert split_p({"a": 10, "b": 0}, {"a": 10_000, "b": 0}) == 1


def test_split__looked_at_with_each_of_a_thousand_users__alarms_are_rare() -> None:
    alarms = 0
    for seed in range(300):
        dice = random.Random(seed)
        users = {"a": 0, "b": 0}
        for _ in range(1000):
            users["a" if dice.random() < 0.9 else "b"] += 1
            if split_p(users, {"a": 9000, "b": 1000}) <= statistics.SPLIT_ALPHA:
                alarms += 1
                break
    assert alarms <= 300 * statistics.SPLIT_ALPHA
