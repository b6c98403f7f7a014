"""What counts as low and level memory."""

from bench import memory


def test_judge__rises_then_stays__passes() -> None:
    verdict = memory.judge([90, 110, 120, 125, 126, 126, 127, 126], peak=130)
    assert verdict.passed
    assert verdict.last == 126


def test_judge__rises_all_the_time__misses() -> None:
    verdict = memory.judge([100 + 2 * n for n in range(20)], peak=140)
    assert verdict.growth > memory.LEVEL_MB
    assert not verdict.passed


def test_judge__level_but_too_high__misses() -> None:
    assert not memory.judge([210.0] * 20, peak=210).passed


def test_judge__few_samples__judges_those() -> None:
    assert memory.judge([100, 101], peak=101).growth == 0
