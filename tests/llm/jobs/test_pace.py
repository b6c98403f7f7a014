"""The pace of batches: how many lines a worker begins in a second."""

from datetime import timedelta

import pytest
from django.utils import timezone

from llm.jobs.worker import queue
from llm.jobs.worker.pace import BatchPace
from tests.admin.rows import make_usage


@pytest.mark.parametrize("rate", [0.5, 7, 60, 1000])
@pytest.mark.parametrize("slots", [1, 3, 10])
@pytest.mark.parametrize("step", [0.001, 0.02, 1.3])
def test_pace__lines_without_end__begin_at_the_rate(
    rate: float, slots: int, step: float
) -> None:
    pace, begun, turns = BatchPace(rate), 0, max(200, round(100 / rate / step))
    for turn in range(turns):
        now = 50 + turn * step
        if pace.is_free(now):
            begun += slots
            assert pace.take(slots, now) == slots / rate
    span = (turns - 1) * step
    assert begun <= slots + rate * span + 1e-6
    # What is lost is less than a turn of each wait.
    assert begun >= span / (slots / rate + step) * slots - slots


def test_pace__after_a_pause__lets_no_more_begin_than_there_are_slots() -> None:
    pace = BatchPace(60)
    assert pace.is_free(1.0)
    wait = pace.take(6, 1.0)
    assert not pace.is_free(1.0)
    assert not pace.is_free(1.0 + wait - 1e-6)
    assert pace.is_free(1.0 + wait)
    assert pace.take(6, 1000.0) == wait
    assert not pace.is_free(1000.0)


def test_pace__nobody_else_served__is_free_at_once() -> None:
    pace = BatchPace(1)
    pace.take(10, 5.0)
    assert not pace.is_free(6.0)
    pace.beside_others = False
    assert pace.is_free(6.0)
    assert pace.take(10, 6.0) == 0
    pace.beside_others = True
    assert pace.is_free(6.0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("job", "seconds", "found"), [("", 1, True), ("", 9, False), ("a-job", 1, False)]
)
def test_interactive__requests_of_the_last_seconds__are_no_jobs(
    job: str, seconds: int, found: bool
) -> None:
    make_usage(job=job, created_at=timezone.now() - timedelta(seconds=seconds))
    assert queue.has_interactive_requests() is found
