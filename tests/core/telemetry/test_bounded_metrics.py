"""However many models and providers there are, the metrics stay small."""

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from valuecanvas.core.telemetry.bounded_metrics import (
    DAY_S,
    OPEN_LABELS,
    BoundedCounter,
    BoundedGauge,
    BoundedHistogram,
    _Bounded,
    drop_unused_series,
)
from valuecanvas.http.metrics_view import MetricsText

MOST_BYTES, MOST_SERIES = 300_000, 3_500
# Django's own: so many bytes when all pages were called, whatever the configuration.
MOST_BYTES_OF_DJANGO = 40_000
LABELS = ("endpoint", "model")


@pytest.fixture
def counter() -> BoundedCounter:
    return BoundedCounter("c", "Help.", LABELS, most=3, registry=CollectorRegistry())


def series(instrument: Any) -> dict[tuple[str, ...], float]:
    """The values by label values."""
    return {
        tuple(one.labels.values()): one.value
        for metric in instrument.collect()
        for one in metric.samples
        if not one.name.endswith("_created")
    }


def test_labels__more_than_fit__are_counted_as_other(counter: BoundedCounter) -> None:
    for number in range(10):
        counter.labels("chat", f"m{number}").inc()
    counter.labels("embeddings", "m9").inc()
    counter.labels("chat", "m0").inc()
    assert series(counter) == {
        ("chat", "m0"): 2,
        ("chat", "m1"): 1,
        ("chat", "m2"): 1,
        ("chat", "other"): 7,
        ("embeddings", "other"): 1,
    }


def test_labels__name_that_is_long__is_cut(counter: BoundedCounter) -> None:
    for _ in "12":
        counter.labels("chat", "m" * 500).inc()
    assert series(counter) == {("chat", "m" * 80): 2}


def test_drop_unused__series_not_used_since__makes_room(
    counter: BoundedCounter,
) -> None:
    for name in ("m0", "m1", "m2", "m3"):
        counter.labels("chat", name).inc()
    counter.drop_unused()
    assert len(series(counter)) == 4
    counter.labels("chat", "m1").inc()
    counter.drop_unused()
    counter.labels("chat", "m3").inc()
    assert series(counter) == {("chat", "m1"): 2, ("chat", "m3"): 1}


def test_drop_unused__gauge__keeps_its_values() -> None:
    gauge = BoundedGauge("g", "Help.", LABELS, registry=CollectorRegistry())
    gauge.labels("chat", "m0").set(2)
    gauge.drop_unused()
    gauge.drop_unused()
    assert series(gauge) == {("chat", "m0"): 2}


def test_drop_unused_series__asked_often__works_once_a_day(
    counter: BoundedCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Bounded, "ALL", [counter])
    monkeypatch.setattr(_Bounded, "swept_at", 0.0)
    counter.labels("chat", "m0").inc()
    for now in (DAY_S, DAY_S + 1, 2 * DAY_S - 1):
        drop_unused_series(now)
    assert len(series(counter)) == 1
    drop_unused_series(2 * DAY_S)
    assert series(counter) == {}


@pytest.fixture
def emptied() -> Iterator[list[_Bounded]]:
    """All bounded instruments without series; those of other tests come back."""
    kept = [one._metrics for one in _Bounded.ALL]
    for one in _Bounded.ALL:
        one._metrics = {}
    yield _Bounded.ALL
    for one, before in zip(_Bounded.ALL, kept, strict=True):
        one._metrics = before


def use(instrument: Any, values: tuple[str, ...]) -> None:
    child = instrument.labels(*values)
    if isinstance(instrument, BoundedHistogram):
        child.observe(1)
    else:
        child.inc()


@pytest.mark.django_db
def test_metrics__thousands_of_models_providers_and_codes__stay_small(
    emptied: list[_Bounded],
) -> None:
    for instrument in emptied:
        for number in range(1_000):
            values = (
                f"{name}-of-some-length-{number:04}" if name in OPEN_LABELS else name
                for name in instrument._labelnames
            )
            use(instrument, tuple(values))
    lines = MetricsText().read().splitlines(keepends=True)
    assert len(lines) <= MOST_SERIES
    # What other tests called decides over Django's part.
    django = sum(len(one) for one in lines if b"django_" in one[:20])
    assert django <= MOST_BYTES_OF_DJANGO
    assert sum(map(len, lines)) - django <= MOST_BYTES - MOST_BYTES_OF_DJANGO
