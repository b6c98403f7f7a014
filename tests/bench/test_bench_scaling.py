"""The simulation of many processes at one lock."""

import pytest

from bench.scaling import BATCH_MAX, Times, databases_needed, fit, simulate, text

TIMES = Times(base=1.0, each=0.1)
# Requests a second that pass the lock with the largest batches.
MOST = 1000 * BATCH_MAX / TIMES.of(BATCH_MAX) / 2


def test_fit__measured_on_a_line__is_that_line() -> None:
    measured = {size: TIMES.of(size) for size in (1, 10, 50, 200, 1000)}
    found = fit(measured)
    assert found.each == pytest.approx(TIMES.each)
    assert found.base == pytest.approx(TIMES.of(1))


def test_simulate__few_requests__wait_for_their_own_transaction() -> None:
    found = simulate(10, TIMES)
    assert found.p50 == pytest.approx(TIMES.of(1), rel=0.01)
    assert found.batch == pytest.approx(1, abs=0.05)


def test_simulate__more_requests__share_transactions_and_wait_longer() -> None:
    waits = [simulate(rate, TIMES) for rate in (100, 1000, 3000)]
    assert [one.batch for one in waits] == sorted(one.batch for one in waits)
    assert [one.p95 for one in waits] == sorted(one.p95 for one in waits)


def test_simulate__past_what_the_lock_carries__waits_without_end() -> None:
    assert simulate(0.8 * MOST, TIMES).p95 < 200
    assert simulate(1.5 * MOST, TIMES).p95 > 1000


def test_databases__for_twice_the_rate__are_about_twice_as_many() -> None:
    few, many = databases_needed(MOST, TIMES), databases_needed(4 * MOST, TIMES)
    assert few >= 2
    assert many >= 2 * few
    assert databases_needed(1000 * MOST, TIMES) == 0


def test_text__of_measured_transactions__has_a_row_for_each_rate() -> None:
    measured = {1: 1.5, 10: 2.0, 50: 5.0, 200: 20.0, 1000: 100.0}
    table = text(measured)
    assert "| 100,000 |" in table
    assert "refused" in table
