"""The verdicts of the benches of scrapes and of alerts."""

import pytest

from bench import outage, scrape


@pytest.mark.parametrize(
    ("size_kb", "lag_ms", "missed"),
    [(300, [5, 20, 90], 0), (301, [5, 20, 90], 1), (300, [5, 21, 90], 1)],
)
def test_render__of_scrapes__judges_size_and_median_delay(
    size_kb: float, lag_ms: list[float], missed: int
) -> None:
    found = scrape.Measured(
        size_kb=size_kb, lag_ms=lag_ms, idle_ms=[1.0], seconds=[0.1]
    )
    text, met = scrape.render(found)
    assert (text.count("**missed**"), met) == (missed, not missed)


@pytest.mark.parametrize(
    ("clean", "paged_s", "missed"),
    [(set(), 120, 0), (set(), 121, 1), (set(), None, 1), ({"ValueCanvasSlow"}, 9, 1)],
)
def test_render__of_an_outage__judges_false_alarms_and_the_page(
    clean: set[str], paged_s: float | None, missed: int
) -> None:
    text, met = outage.render(outage.Measured(10, clean=clean, paged_s=paged_s))
    assert (text.count("**missed**"), met) == (missed, not missed)
