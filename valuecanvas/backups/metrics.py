"""Prometheus metrics of backups, the same from every process."""

from collections.abc import Iterator

from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily

from valuecanvas.backups import history
from valuecanvas.core.telemetry.database_metrics import DatabaseMetrics, Family


class LastBackup(DatabaseMetrics):
    """The last backups, which a worker or a job made."""

    def describe(self) -> list[Family]:
        return [
            GaugeMetricFamily(
                "valuecanvas_backup_verified_timestamp_seconds",
                "When the newest backup that was restored for trial was made, Unix time.",
            ),
            GaugeMetricFamily(
                "valuecanvas_backup_age_seconds",
                "How old the newest backup is that was restored for trial.",
            ),
            GaugeMetricFamily(
                "valuecanvas_backup_failed",
                "1 if the last backup failed, or its restore for trial did.",
            ),
        ]

    def read(self) -> Iterator[Family]:
        last, verified = history.last(), history.last_verified()
        made, age, failed = self.describe()
        if verified is not None:
            made.add_metric([], verified.started_at.timestamp())
            old = timezone.now() - verified.started_at
            age.add_metric([], old.total_seconds())
            yield from (made, age)
        if last is not None:
            failed.add_metric([], float(history.has_failed(last)))
            yield failed
