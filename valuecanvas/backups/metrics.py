"""Prometheus metrics of backups, the same from every process."""

from collections.abc import Iterator

from django.db import DatabaseError
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from valuecanvas.backups import history


class LastBackup(Collector):
    """Reads the history at each scrape: a worker or a job made the backups.

    While the database is down these metrics are absent, and /metrics still answers.
    """

    def describe(self) -> list[GaugeMetricFamily]:
        return [
            GaugeMetricFamily(
                "valuecanvas_backup_verified_timestamp_seconds",
                "When the newest backup that was restored for trial was made, Unix time.",
            ),
            GaugeMetricFamily(
                "valuecanvas_backup_failed",
                "1 if the last backup failed, or its restore for trial did.",
            ),
        ]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            last, verified = history.last(), history.last_verified()
        except DatabaseError:
            return
        made, failed = self.describe()
        if verified is not None:
            made.add_metric([], verified.started_at.timestamp())
            yield made
        if last is not None:
            failed.add_metric([], float(history.has_failed(last)))
            yield failed
