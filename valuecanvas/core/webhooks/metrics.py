"""Prometheus metrics of webhooks, the same from every process."""

from collections.abc import Iterator

from django.db.models import Count, Min, Sum
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from valuecanvas.core.telemetry.database_metrics import DatabaseMetrics, Family
from valuecanvas.core.webhooks.models import (
    DeliveryState,
    WebhookDelivery,
    WebhookEndpoint,
)


class WebhookFigures(DatabaseMetrics):
    """The webhooks, which workers send."""

    def describe(self) -> list[Family]:
        return [
            CounterMetricFamily(
                "valuecanvas_webhook_attempts",
                "Attempts to send a webhook: delivered or failed.",
                labels=["result"],
            ),
            GaugeMetricFamily(
                "valuecanvas_webhooks_waiting", "Webhooks that wait to be sent."
            ),
            GaugeMetricFamily(
                "valuecanvas_webhooks_late_seconds",
                "How long a webhook has been due: it grows while no worker sends.",
            ),
        ]

    def read(self) -> Iterator[Family]:
        sums = WebhookEndpoint.objects.aggregate(
            delivered=Sum("delivered", default=0), failed=Sum("failed", default=0)
        )
        rows = WebhookDelivery.objects.filter(state=DeliveryState.WAITING)
        waiting = rows.aggregate(count=Count("pk"), due=Min("next_at"))
        attempts, count, late = self.describe()
        for result in ("delivered", "failed"):
            attempts.add_metric([result], sums[result])
        count.add_metric([], waiting["count"])
        now = timezone.now()
        overdue = now - (waiting["due"] or now)
        late.add_metric([], max(0, overdue.total_seconds()))
        yield from (attempts, count, late)
