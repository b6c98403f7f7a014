"""Whether the last hour's spend is far above that of the same hour before."""

from collections.abc import Iterator
from decimal import Decimal

from django.urls import reverse

from billing.alerts.types import Condition
from billing.models import AlertRule
from valuecanvas.core import money
from valuecanvas.core.db.statement_timeout import limited_cursor
from valuecanvas.core.templatetags import figures

TIMEOUT_MS = 4_000
# Fewer days with requests are no usual spend.
LEAST_DAYS = 3
# The hour up to now, and the same hour of the 7 days before: eight short index scans.
HOURS = """
SELECT coalesce(max(spent) FILTER (WHERE back = 0), 0),
       avg(spent) FILTER (WHERE back > 0),
       count(spent) FILTER (WHERE back > 0)
FROM generate_series(0, 7) AS back, LATERAL (
    SELECT sum(cost_usd) AS spent FROM llm_usage
    WHERE created_at >= now() - make_interval(days => back, hours => 1)
      AND created_at < now() - make_interval(days => back)
) AS hour
"""


def find_unusual_spend(rule: AlertRule) -> Iterator[Condition]:
    """Whether the last hour cost `factor` times the mean, and the least amount."""
    with limited_cursor(TIMEOUT_MS) as cursor:
        cursor.execute(HOURS)
        spent, usual, days = cursor.fetchone() or (Decimal(0), None, 0)
    if days < LEAST_DAYS or usual is None or spent < rule.least_usd:
        return
    if spent < usual * Decimal(str(rule.factor)):
        return
    yield Condition(
        "spend",
        f"{figures.usd(spent)} was spent in the last hour; in the same hour of the last "
        f"7 days it was {figures.usd(usual)}.",
        {
            "spentUsd": money.text(money.to_micros(spent)),
            "usualUsd": money.text(money.to_micros(usual)),
            "days": days,
        },
        reverse("admin:billing_usage_changelist"),
    )
