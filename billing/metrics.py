"""Prometheus metrics of the last ledger check and of alerts, the same from every process."""

from collections.abc import Iterator

from django.db.models import Count
from prometheus_client.core import GaugeMetricFamily

from billing.alerts import alert_events
from billing.models import AlertRule, LedgerCheck
from valuecanvas.core.telemetry.database_metrics import DatabaseMetrics, Family


class LastCheck(DatabaseMetrics):
    """The last check of the ledger, which ran in a worker."""

    def describe(self) -> list[Family]:
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

    def read(self) -> Iterator[Family]:
        last = LedgerCheck.objects.defer("by").first()
        if last is None:
            return
        drift, checked = self.describe()
        for finding in last.findings:
            drift.add_metric([finding["name"]], finding["drifted"])
        checked.add_metric([], last.finished_at.timestamp())
        yield drift
        yield checked


class FiringAlerts(DatabaseMetrics):
    """The alerts; workers check the rules."""

    def describe(self) -> list[Family]:
        return [
            GaugeMetricFamily(
                "valuecanvas_alerts_firing",
                "Alerts that fire now.",
                labels=["kind", "severity"],
            ),
            GaugeMetricFamily(
                "valuecanvas_alert_rules_failing",
                "Alert rules that could not be checked the last time.",
            ),
        ]

    def read(self) -> Iterator[Family]:
        alerts, failing = self.describe()
        rows = alert_events.find_firing().order_by().values("rule__kind", "severity")
        for one in rows.annotate(count=Count("pk")):
            alerts.add_metric([one["rule__kind"], one["severity"]], one["count"])
        broken = AlertRule.objects.filter(enabled=True).exclude(last_error="")
        failing.add_metric([], broken.count())
        yield from (alerts, failing)
