"""Sequential statistics for two arms: valid however often the results are checked.

Two things make plain confidence intervals wrong here. People check results all the time
and stop when they like them; and one user sends many similar requests. So:

- The test is the mixture sequential probability ratio test (Robbins 1970; Johari,
  Koomen, Pekelis, Walsh: "Always Valid Inference", Operations Research 70(3), 2022).
  Its p-values and intervals hold at every moment at once. With estimated variances they
  are the asymptotic confidence sequences of Waudby-Smith, Arbour, Sinha, Kennedy,
  Ramdas ("Time-uniform central limit theory and asymptotic confidence sequences",
  Annals of Statistics 52(6), 2024), whose tuning of the mixture is used.
- Variances are those of ratios of sums over users, the unit that is assigned to an arm
  (the delta method: Deng, Knoblich, Lu, KDD 2018). Requests of one user that resemble
  each other make the interval wider, as they must.
- Being asymptotic it says nothing before MIN_UNITS users are in both arms.

The check of the split is the sequential multinomial test of Lindon, Malek
("Anytime-valid inference for multinomial count data", NeurIPS 2022): exact.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from operator import add, attrgetter

# The fewest users of each arm for a conclusion.
MIN_UNITS = 50
# The fewest rare events, such as errors, of both arms together.
MIN_EVENTS = 20
# The intervals are tightest, for their certainty, about here: the effective number of
# requests, half of what each of two equal arms has.
TUNED_FOR = 1000
# The significance level of the check of the split.
SPLIT_ALPHA = 0.01
# The weight of the split's prior, in users.
SPLIT_WEIGHT = 100
# Below this relative error of the mean all values count as equal: the rest is an error
# of floating-point sums.
SAME = 1e-7


@dataclass(frozen=True, slots=True)
class ArmSample:
    """One arm's values of one metric: sums over requests, and over their users.

    With s and n the sum and the number of a user's values: `unit_squares` is the sum of
    s*s, `unit_cross` of s*n, and `unit_counts` of n*n.
    """

    units: int = 0
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    unit_squares: float = 0.0
    unit_cross: float = 0.0
    unit_counts: float = 0.0

    @property
    def mean(self) -> float:
        """The mean value of a request; 0 without any."""
        return self.total / self.count if self.count else 0.0

    def __add__(self, other: "ArmSample") -> "ArmSample":
        return ArmSample(*map(add, _sums_of(self), _sums_of(other)))

    def spread(self) -> float:
        """The variance of single requests."""
        if not self.count:
            return 0.0
        return max(0.0, self.squares / self.count - self.mean**2)

    def scatter(self, around: float) -> float:
        """The sum over users of the squared distance of s from n times `around`."""
        by_units = (
            self.unit_squares
            - 2 * around * self.unit_cross
            + around * around * self.unit_counts
        )
        return max(0.0, by_units)

    def variance(self) -> float:
        """The variance of the mean over users."""
        if self.units < 2:
            return math.inf
        small = self.units / (self.units - 1)
        return small * self.scatter(self.mean) / self.count**2


# Not dataclasses.astuple, which copies deeply and costs more than all the rest.
_sums_of = attrgetter(*(one.name for one in fields(ArmSample)))


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of level 1 - alpha, valid at all times at once."""

    low: float
    high: float

    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference of an arm from the control. `p` is an always valid p-value.

    `interval` and `p` are None while there is too little data.
    """

    difference: float
    interval: Interval | None = None
    p: float | None = None

    def is_significant(self, alpha: float) -> bool:
        """Whether the difference is significant."""
        return self.p is not None and self.p <= alpha


def interval(sample: ArmSample, alpha: float) -> Interval | None:
    """The confidence interval of an arm's mean; None with too few users."""
    if sample.units < MIN_UNITS:
        return None
    variance = sample.variance()
    half = _half_width(variance, sample.spread(), alpha)
    return Interval(sample.mean - half, sample.mean + half)


def compare(
    arm: ArmSample, control: ArmSample, alpha: float, *, rare: bool = False
) -> Comparison:
    """Compare the mean of the arm with that of the control.

    `rare`: the values are 0 or 1, and few are 1.
    """
    difference = arm.mean - control.mean
    if not has_enough_data(arm, control, rare=rare):
        return Comparison(difference)
    both = arm + control
    spread = both.spread()
    variance = _variance_of_difference(arm, control, both)
    if variance <= (SAME * both.mean) ** 2:
        return Comparison(0.0, Interval(0.0, 0.0), 1.0)
    half = _half_width(variance, spread, alpha)
    found = Interval(difference - half, difference + half)
    return Comparison(difference, found, _p(difference, variance, spread, alpha))


def has_enough_data(arm: ArmSample, control: ArmSample, *, rare: bool = False) -> bool:
    """Whether there are enough users, and enough cases of a rare event."""
    if min(arm.units, control.units) < MIN_UNITS:
        return False
    return not rare or arm.total + control.total >= MIN_EVENTS


def split_p(users: Mapping[str, int], weights: Mapping[str, int]) -> float:
    """An always valid p-value of "users come to the arms by their weights".

    A small one means that something loses or doubles users: no result can be trusted.
    """
    weighted = {name: weight for name, weight in weights.items() if weight > 0}
    whole = sum(weighted.values())
    if any(users.get(name) for name in users.keys() - weighted.keys()):
        return 0.0
    number = sum(users.get(name, 0) for name in weighted)
    log_odds = math.lgamma(SPLIT_WEIGHT) - math.lgamma(SPLIT_WEIGHT + number)
    for name, weight in weighted.items():
        share, found = weight / whole, users.get(name, 0)
        prior = SPLIT_WEIGHT * share
        log_odds += math.lgamma(prior + found) - math.lgamma(prior)
        log_odds -= found * math.log(share)
    return min(1.0, math.exp(-log_odds)) if log_odds > 0 else 1.0


def _variance_of_difference(
    arm: ArmSample, control: ArmSample, both: ArmSample
) -> float:
    """Of the difference of means: by each arm's own users, or by all users as one.

    The greater of the two. A small arm in which nothing has happened yet looks as if it
    could not vary; all users together know better.
    """
    shared = both.scatter(both.mean) / both.count
    return sum(max(one.variance(), shared / one.count) for one in (arm, control))


def _information(variance: float, spread: float, alpha: float) -> float:
    """The information of the test, in units of the mixture's precision.

    The mixture of a normal law is tuned as in Waudby-Smith et al., appendix B.2.
    """
    tuned = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / TUNED_FOR
    return tuned * spread / variance


def _half_width(variance: float, spread: float, alpha: float) -> float:
    if variance <= 0 or spread <= 0:
        return 0.0
    information = _information(variance, spread, alpha)
    by_alpha = math.log(1 / alpha) + math.log1p(information) / 2
    return math.sqrt(variance * 2 * (1 + information) / information * by_alpha)


def _p(difference: float, variance: float, spread: float, alpha: float) -> float:
    information = _information(variance, spread, alpha)
    ratio = information / (2 * (1 + information))
    against = difference**2 / variance * ratio - math.log1p(information) / 2
    return min(1.0, math.exp(-against)) if against > 0 else 1.0
