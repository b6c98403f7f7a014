"""Prometheus metrics of the last ledger check and of alerts, the same from every process."""

from collections.abc import Iterator

from django.db import DatabaseError
from django.db.models import Count
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from billing.alerts import alert_events
from billing.models import AlertRule, LedgerCheck


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


class FiringAlerts(Collector):
    """Reads the alerts at each scrape, as above: workers check the rules."""

    def describe(self) -> list[GaugeMetricFamily]:
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

    def collect(self) -> Iterator[GaugeMetricFamily]:
        rows = alert_events.find_firing().order_by().values("rule__kind", "severity")
        try:
            found = list(rows.annotate(count=Count("pk")))
            broken = AlertRule.objects.filter(enabled=True).exclude(last_error="")
            failing_rules = broken.count()
        except DatabaseError:
            return
        alerts, failing = self.describe()
        for one in found:
            alerts.add_metric([one["rule__kind"], one["severity"]], one["count"])
        failing.add_metric([], failing_rules)
        yield from (alerts, failing)
