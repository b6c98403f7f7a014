"""The Performance page of the admin: targets, and charts of a span of time."""

import datetime as dt
import time
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib import admin
from django.core.cache import cache
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from llm.models import JobState
from valuecanvas.core.admin import charts
from valuecanvas.core.admin.charts import ChartSeries
from valuecanvas.core.admin.pages import refuse_unless
from valuecanvas.core.templatetags import figures
from valuecanvas.performance import measurement, targets
from valuecanvas.performance.measurement import MINUTE, SPANS, Performance, StepFigures
from valuecanvas.performance.targets import Target, TargetState

RIGHT = "billing.view_usage"
KEPT_S = 15
MOST_PROVIDERS = 5
GREEN, BLUE, AMBER, PURPLE, _, GREY = charts.COLOURS
RED = "#dc2626"
LINE_OPTIONS = charts.line_options(y={"beginAtZero": True, "ticks": charts.TICKS})
LABELS = {
    TargetState.MET: "success",
    TargetState.MISSED: "danger",
    TargetState.NOT_JUDGED: "default",
}
ENDS = {
    JobState.SUCCEEDED: GREEN,
    JobState.CANCELLED: GREY,
    JobState.FAILED: AMBER,
    JobState.DEAD: RED,
}


class ChartPanel(NamedTuple):
    """A chart of the page; `kind` is bar or line."""

    title: str
    unit: str
    kind: str
    data: str
    options: str


def show(request: HttpRequest) -> HttpResponse:
    """The page of the span that the URL asks for."""
    refuse_unless(request, RIGHT)
    name = request.GET.get("span", "")
    name = name if name in SPANS else measurement.USUAL
    try:
        context = _kept(name)
    except DatabaseError:
        context = {
            "problem": "The figures took too long: choose a shorter time, or try again in a while."
        }
    frame = {
        **admin.site.each_context(request),
        "title": "Performance",
        "spans": [(key, one.title) for key, one in SPANS.items()],
        "chosen": name,
        "grafana": settings.GRAFANA_URL,
        **context,
    }
    return TemplateResponse(request, "admin/performance.html", frame)


def _kept(name: str) -> dict[str, Any]:
    """The figures as of some seconds ago at most; older ones where they take long."""
    key = f"performance.{name}"
    kept: dict[str, Any] | None = cache.get(key)
    if kept:
        return kept
    started = time.monotonic()
    found = _context(name)
    # So that an open page does not add load to a busy ledger.
    took_s = time.monotonic() - started
    cache.set(key, found, timeout=max(KEPT_S, round(20 * took_s)))
    return found


def _context(name: str) -> dict[str, Any]:
    found = measurement.measure(SPANS[name])
    traffic = found.asked or found.total.refused or found.jobs
    return {
        "targets": [_row(one) for one in targets.judge(found)],
        "requests": found.total.usage.requests,
        "at": f"{found.at:%Y-%m-%d %H:%M:%S}",
        "until": f"{found.until:%Y-%m-%d %H:%M}" if found.until else "",
        "plots": [one._asdict() for one in ChartPanels(found).all()] if traffic else [],
    }


def _row(one: Target) -> dict[str, str]:
    return {
        "title": one.title,
        "wanted": f"{one.wanted} {_amount(one.target, one.unit)}",
        "found": "–" if one.found is None else _amount(one.found, one.unit),
        "state": str(one.state),
        "label": LABELS[one.state],
        "note": one.note,
    }


def _amount(value: float, unit: str) -> str:
    if unit == "USD":
        return figures.usd(Decimal(f"{value:.6f}"))
    digits = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{digits}\u00a0{unit}"


class ChartPanels:
    """The charts of the figures of a span."""

    def __init__(self, of: Performance) -> None:
        self._of = of
        self._steps = [*of.steps.values()]
        form = {MINUTE: "%H:%M", measurement.HOUR: "%b %d, %H:%M"}
        shape = form.get(of.span.step, "%b %d")
        self._labels = [start.strftime(shape) for start in of.steps]

    def all(self) -> list[ChartPanel]:
        each = f"each {self._of.span.step_name}, UTC"
        return [
            self._bars("Requests", "a minute", [self._series("Requests", GREEN, self._per_minute)]),
            self._lines("Latency", "seconds, of answers", [self._latency(0, "p50", GREEN), self._latency(1, "p95", BLUE), self._latency(2, "p99", AMBER)]),
            self._bars("Errors and refusals", each, [
                self._series("Failed", RED, lambda one: one.errors),
                self._series("Refused by us (5xx)", AMBER, lambda one: one.refused_by_us),
                self._series("Refused to callers (4xx)", GREY, lambda one: one.refused),
            ]),
            self._bars("Tokens", each, [
                self._series("Input", BLUE, lambda one: one.usage.prompt_tokens),
                self._series("Output", GREEN, lambda one: one.usage.completion_tokens),
            ]),
            self._lines("Cost", f"USD, {each}", [
                self._series("Charged", BLUE, lambda one: float(one.usage.cost_usd)),
                self._series("Saved by the cache", GREEN, lambda one: float(one.usage.saved_usd)),
            ]),
            self._lines("Cache hits", "% of requests", [self._series("Cache hits", GREEN, _cached_percent)]),
            self._bars("Requests by provider", each, self._providers()),
            self._bars("Jobs that ended", each, self._jobs()),
        ]  # fmt: skip

    def _bars(self, title: str, unit: str, series: list[ChartSeries]) -> ChartPanel:
        data = charts.bars(self._labels, series)
        return ChartPanel(title, unit, "bar", data, charts.STACKED_OPTIONS)

    def _lines(self, title: str, unit: str, series: list[ChartSeries]) -> ChartPanel:
        return ChartPanel(title, unit, "line", charts.lines(self._labels, series), LINE_OPTIONS)  # fmt: skip

    def _series(
        self, label: str, colour: str, figure: Callable[[StepFigures], float | None]
    ) -> ChartSeries:
        return ChartSeries(label, [figure(one) for one in self._steps], colour)

    def _per_minute(self, one: StepFigures) -> float:
        return round(one.usage.requests / (self._of.span.step / MINUTE), 2)

    def _latency(self, at: int, label: str, colour: str) -> ChartSeries:
        def seconds(one: StepFigures) -> float | None:
            found = one.usage.latency_ms[at]
            return None if found is None else found / 1000

        return self._series(label, colour, seconds)

    def _providers(self) -> list[ChartSeries]:
        """The busiest ones, and the others together."""
        counts = self._of.providers
        busiest = sorted(counts, key=lambda name: -counts[name].total())
        rest: Counter[dt.datetime] = Counter()
        for name in busiest[MOST_PROVIDERS:]:
            rest.update(counts[name])
        found = [
            self._counted(name or "no provider", counts[name], charts.COLOURS[at])
            for at, name in enumerate(busiest[:MOST_PROVIDERS])
        ]
        return [*found, self._counted("all others", rest, GREY)] if rest else found

    def _jobs(self) -> list[ChartSeries]:
        return [
            self._counted(state.label, self._of.jobs.get(state.value, {}), colour)
            for state, colour in ENDS.items()
        ]

    def _counted(
        self, label: str, counts: Mapping[dt.datetime, int], colour: str
    ) -> ChartSeries:
        return ChartSeries(
            label, [counts.get(one, 0) for one in self._of.steps], colour
        )


def _cached_percent(one: StepFigures) -> float | None:
    usage = one.usage
    return round(100 * usage.cached / usage.requests, 1) if usage.requests else None
