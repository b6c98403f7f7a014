"""Evaluations of a flag by variant, as stacked columns."""

import datetime as dt
from dataclasses import dataclass

from django.utils import timezone

from flags.models import Exposure
from valuecanvas.core.admin import charts

# Hours in one column, by the span.
STEPS = {"day": 1, "week": 6, "month": 24}
NONE = "the program's own default"


@dataclass(frozen=True, slots=True)
class ExposureChart:
    """A span with its chart, and each variant with its count and share in percent."""

    span: str
    chart: charts.Chart
    last: dt.datetime
    spans = charts.CHOICES

    def series(self) -> list[tuple[str, int, float]]:
        whole = self.chart.total
        return [(name, n, 100 * n / whole) for name, n in self.chart.series]


def exposures(flag: str, asked: str) -> ExposureChart:
    """The chart of the flag over the span `asked`, or over the default span."""
    span = charts.choose_span(asked)
    step = dt.timedelta(hours=STEPS[span])
    _, length = charts.SPANS[span]
    now = timezone.now()
    first = _floor(now - length, step) + step
    rows = Exposure.objects.filter(flag=flag, hour__gte=first)
    found = rows.order_by().values_list("hour", "variant", "count")
    drawn = charts.stack(
        ((_floor(hour, step), name or NONE, count) for hour, name, count in found),
        [first + step * number for number in range(round(length / step))],
        title="{name}: {count:,}",
        rest="others",
    )
    return ExposureChart(span, drawn, now)


def _floor(at: dt.datetime, step: dt.timedelta) -> dt.datetime:
    seconds = int(step.total_seconds())
    whole = int(at.timestamp()) // seconds * seconds
    return dt.datetime.fromtimestamp(whole, dt.UTC)
