"""Prometheus metrics of the last ledger check, the same from every process."""

from collections.abc import Iterator

from django.db import DatabaseError
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from billing.models import LedgerCheck


class LastCheck(Collector):
    """Reads the last check's row at each scrape: the check itself ran in a worker.

    While the database is down these metrics are absent, and /metrics still answers.
    """

    def describe(self) -> list[GaugeMetricFamily]:
        return [
            GaugeMetricFamily(
                "valuecanvas_ledger_drift",
                "Rows that broke an invariant at the last check of the ledger.",
                labels=["invariant"],
            ),
            GaugeMetricFamily(
                "valuecanvas_ledger_checked_timestamp_seconds",
                "When the ledger was last checked, Unix time.",
            ),
        ]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            last = LedgerCheck.objects.defer("by").first()
        except DatabaseError:
            last = None
        if last is None:
            return
        drift, checked = self.describe()
        for finding in last.findings:
            drift.add_metric([finding["name"]], finding["drifted"])
        checked.add_metric([], last.finished_at.timestamp())
        yield drift
        yield checked
