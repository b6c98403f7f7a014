"""The pace of batches: how many lines a worker begins in a second."""

import pytest

from llm.jobs.worker.pace import BURST_S, BatchPace


@pytest.mark.parametrize("rate", [0.5, 7, 60, 1000])
@pytest.mark.parametrize("step", [0.001, 0.02, 1.3])
def test_pace__lines_without_end__begin_at_the_rate(rate: float, step: float) -> None:
    pace, begun, turns = BatchPace(rate), 0, max(200, round(20 / rate / step))
    burst = max(1.0, rate * BURST_S)
    for turn in range(turns):
        lines = pace.free(50 + turn * step)
        begun += lines
        assert lines <= burst
        assert pace.take(lines) <= 1 / rate
    span = (turns - 1) * step
    assert begun <= burst + rate * span
    # It is reached where nothing is lost between turns.
    if burst >= 1 + rate * step:
        assert begun >= rate * span - 1


def test_pace__after_a_pause__lets_no_more_than_one_burst_begin() -> None:
    pace = BatchPace(60)
    assert pace.free(1.0) == pace.free(1000.0) == 6
    pace.take(6)
    assert pace.free(1000.0) == 0
    # After the wait that `take` tells, one may begin.
    assert pace.free(1000.0 + pace.take(0) + 1e-9) == 1
