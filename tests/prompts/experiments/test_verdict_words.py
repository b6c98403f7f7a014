"""What is concluded, in words."""

import random

import pytest

from prompts.experiments.statistics import MIN_UNITS, ArmSample
from prompts.experiments.verdict import (
    BETTER,
    EARLY,
    NONE,
    WORSE,
    judge,
    relative_interval,
)
from tests.prompts.experiments.test_statistics_values import sample, steady


def around(mean: float, users: int = 400, spread: float = 0.3) -> ArmSample:
    dice = random.Random(11)
    return sample(*([dice.gauss(mean, spread)] for _ in range(users)))


def rate(share: float, users: int = 2000) -> ArmSample:
    bad = round(share * users)
    return steady(users - bad, 0.0) + steady(bad, 1.0)


def test_judge__clearly_higher_feedback__names_the_winner() -> None:
    samples = {"a": around(0.1), "b": around(0.4)}
    found = judge("feedback", samples, control="a", alpha=0.05)
    assert (found.kind, found.winner) == (BETTER, "b")
    assert found.headline == "b is better than a."
    [sentence] = found.sentences
    assert sentence.startswith("b's feedback score is higher than a's by 0.2")


def test_judge__higher_cost__is_worse() -> None:
    samples = {"a": around(2.0), "b": around(2.5)}
    found = judge("cost", samples, control="a", alpha=0.05)
    assert (found.kind, found.winner) == (WORSE, "a")
    assert found.headline == "a is better than b."
    assert "cost per request is higher than a's by $0." in found.sentences[0]


def test_judge__lower_latency__is_better() -> None:
    samples = {"a": around(900, spread=90), "b": around(700, spread=90)}
    found = judge("latency", samples, control="a", alpha=0.05)
    assert found.kind == BETTER
    assert "latency is lower than a's by" in found.sentences[0]
    low = relative_interval(found.compared["b"], samples["a"])
    assert low.low == pytest.approx(-0.22, abs=0.05)
    assert found.sentences[0].endswith("%).")


def test_judge__alike__says_between_what_it_is() -> None:
    samples = {"a": rate(0.05), "b": rate(0.052)}
    found = judge("error_rate", samples, control="a", alpha=0.05)
    assert (found.kind, found.winner) == (NONE, "")
    assert found.headline == "No significant difference yet."
    assert "error rate is somewhere between" in found.sentences[0]
    assert "points lower and" in found.sentences[0]


def test_judge__all_the_same__says_so() -> None:
    samples = {"a": steady(80, 1.0), "b": steady(80, 1.0)}
    found = judge("feedback", samples, control="a", alpha=0.05)
    assert (found.kind, found.winner) == (NONE, "")
    assert found.sentences == ("b's feedback score is the same as a's, in all cases.",)


def test_judge__few_users__is_too_early() -> None:
    samples = {"a": steady(200, 0.0, 1.0), "b": steady(12, 0.0, 1.0)}
    found = judge("feedback", samples, control="a", alpha=0.05)
    assert (found.kind, found.headline) == (EARLY, "Too early to tell.")
    assert found.sentences == (
        f"b and the control have 12 and 200 users; each needs {MIN_UNITS}.",
    )
    assert relative_interval(found.compared["b"], samples["a"]) is None


def test_judge__few_errors__is_too_early() -> None:
    samples = {"a": rate(0.001), "b": rate(0.002)}
    found = judge("error_rate", samples, control="a", alpha=0.05)
    assert found.kind == EARLY
    assert "have 6 cases of what is counted (error rate); 20" in found.sentences[0]


def test_judge__several_arms__shares_out_alpha_and_names_the_best() -> None:
    samples = {"a": around(0.1), "b": around(0.4), "c": around(0.6), "d": around(0.1)}
    found = judge("feedback", samples, control="a", alpha=0.05)
    assert (found.kind, found.winner) == (BETTER, "c")
    assert found.sentences[-1] == "b and c were not compared with each other."
    alone = judge(
        "feedback", {"a": samples["a"], "d": samples["d"]}, control="a", alpha=0.05
    )
    wide, narrow = found.compared["d"].interval, alone.compared["d"].interval
    assert wide.high - wide.low > narrow.high - narrow.low


def test_judge__one_of_two_is_worse__is_not_decided() -> None:
    samples = {"a": around(0.4), "b": around(0.1), "c": around(0.4)}
    found = judge("feedback", samples, control="a", alpha=0.05)
    assert (found.kind, found.headline) == (NONE, "b can be dropped: a is better.")


def test_judge__one_arm_still_empty__tells_of_the_other() -> None:
    samples = {"a": around(0.1), "b": around(0.1), "c": ArmSample()}
    found = judge("feedback", samples, control="a", alpha=0.05)
    assert found.kind == NONE
    assert found.sentences[1] == "c and a cannot be compared yet: too few cases."


def test_relative__control_at_or_below_zero__says_nothing() -> None:
    samples = {"a": around(-0.5), "b": around(-0.1)}
    found = judge("feedback", samples, control="a", alpha=0.05)
    assert relative_interval(found.compared["b"], samples["a"]) is None
