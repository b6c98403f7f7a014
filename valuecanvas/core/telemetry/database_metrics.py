"""Metrics that are read from the database at each scrape, the same from every process."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ClassVar

from django.db import DatabaseError
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

Family = CounterMetricFamily | GaugeMetricFamily


@dataclass(slots=True)
class Scrape:
    """One reading of all metrics; `skip`: without those of the database from now on."""

    skip: bool


_scrape: ContextVar[Scrape | None] = ContextVar("scrape", default=None)


@contextmanager
def scrape(*, database: bool = True) -> Iterator[None]:
    """Read metrics within; once the database fails, it is not asked again."""
    token = _scrape.set(Scrape(skip=not database))
    try:
        yield
    finally:
        _scrape.reset(token)


class DatabaseMetrics(Collector):
    """Reads tables at each scrape: what they count happens in other processes.

    While the database is down these metrics are absent, and all others are there.
    """

    # Of all metrics that were read so far.
    names: ClassVar[set[str]] = set()

    def describe(self) -> list[Family]:
        """The metrics, without values."""
        raise NotImplementedError

    def read(self) -> Iterable[Family]:
        """The metrics. Raises DatabaseError."""
        raise NotImplementedError

    def collect(self) -> list[Family]:
        now = _scrape.get()
        if now is not None and now.skip:
            return []
        try:
            found = list(self.read())
        except DatabaseError:
            # Each of the others would wait as long, and the scraper gives up.
            if now is not None:
                now.skip = True
            return []
        self.names.update(one.name for one in found)
        return found
