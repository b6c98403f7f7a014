"""Metrics from the database: a database that fails is asked once a scrape."""

from collections.abc import Iterable

from django.db import OperationalError
from prometheus_client.core import GaugeMetricFamily

from valuecanvas.core.telemetry.database_metrics import (
    DatabaseMetrics,
    Family,
    scrape,
)


class Source(DatabaseMetrics):
    """Counts how often it is asked, and may fail."""

    def __init__(self, *, fails: bool) -> None:
        self.fails, self.asked = fails, 0

    def describe(self) -> list[Family]:
        return [GaugeMetricFamily("source", "Help.")]

    def read(self) -> Iterable[Family]:
        self.asked += 1
        [found] = self.describe()
        yield found
        if self.fails:
            raise OperationalError


def test_scrape__database_fails__no_source_is_asked_after_that() -> None:
    first, second = Source(fails=True), Source(fails=False)
    with scrape():
        assert (first.collect(), second.collect()) == ([], [])
    assert (first.asked, second.asked) == (1, 0)
    with scrape():
        assert [one.name for one in second.collect()] == ["source"]


def test_scrape__without_the_database__asks_no_source() -> None:
    source = Source(fails=False)
    with scrape(database=False):
        assert source.collect() == []
    assert source.asked == 0
    assert len(source.collect()) == 1
