"""The Spend page: where the money went, against the period before."""

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone

from billing.admin.customer_name import names_of
from billing.usage import exports, reports
from billing.usage.reports import Report, ReportError, ReportRow, UsageFigures
from billing.usage.spend_query import (
    GROUPS,
    PRESETS,
    SpendChoice,
    every_day,
    read_choice,
)
from valuecanvas.core.admin import charts
from valuecanvas.core.admin.bases import Admin
from valuecanvas.core.templatetags import figures
from valuecanvas.core.transfer import downloads

RIGHT = "billing.view_usage"
MOST_GROUPS, MOST_SERIES, MOST_CHANGES = 100, 5, 5
REST, NOBODY = "all others", "none"
# The filter of the list of requests by each dimension.
LISTED = {
    "customer": "customer_id",
    "team": "team",
    "model": "model",
    "provider": "provider",
    "prompt": "prompt_key",
    "key": "key",
}


@dataclass(frozen=True, slots=True)
class SpendRow:
    """One group as the table shows it."""

    name: str
    link: str
    requests_link: str
    figures: UsageFigures
    before: UsageFigures

    @property
    def change(self) -> Decimal:
        return self.figures.cost_usd - self.before.cost_usd

    @property
    def per_request(self) -> Decimal | None:
        return round_usd(self.figures.cost_per_request)

    @property
    def per_1000_tokens(self) -> Decimal | None:
        return round_usd(self.figures.cost_per_1000_tokens)

    @property
    def change_percent(self) -> str:
        return percent(self.figures.cost_usd, self.before.cost_usd)


def percent(now: Decimal, before: Decimal) -> str:
    """As in '+12%'; 'new' where there was nothing before."""
    if not before:
        return "new" if now else "–"
    return f"{100 * (now - before) / before:+.0f}%"


class SpendPage:
    """What the page shows of a choice."""

    def __init__(self, choice: SpendChoice) -> None:
        self.choice = choice
        self.report: Report = reports.run(
            choice.query(group_by=(choice.group,), compare=True, top=MOST_GROUPS)
        )
        self.names = self._names(self.report)
        self.rows = [self._row(one) for one in self.report.rows]

    def _names(self, report: Report) -> dict[str, str]:
        keys = {row.keys[0] for row in report.rows}
        return names_of(keys) if self.choice.group == "customer" else {}

    def _row(self, row: ReportRow) -> SpendRow:
        value = row.keys[0]
        listed = LISTED.get(self.choice.group)
        requests = reverse("admin:billing_request_changelist")
        return SpendRow(
            name=self.name(value),
            link=self.choice.url(**{self.choice.group: value}) if value else "",
            requests_link=f"{requests}?{listed}={value}" if listed and value else "",
            figures=row.figures,
            before=row.before or UsageFigures(),
        )

    def name(self, value: str) -> str:
        return self.names.get(value, value) or NOBODY

    @property
    def cards(self) -> list[dict[str, str]]:
        total, before = self.report.total, self.report.before or UsageFigures()

        def card(title: str, value: str, note: str) -> dict[str, str]:
            return {"title": title, "value": value, "note": note}

        since = f"against {figures.usd(before.cost_usd)} before"
        return [
            card("Spend", figures.usd(total.cost_usd), f"{percent(total.cost_usd, before.cost_usd)} {since}"),
            card("Requests", figures.commas(total.requests), f"{figures.commas(before.requests)} before"),
            card("Per request", figures.usd(round_usd(total.cost_per_request)), f"{figures.usd(round_usd(before.cost_per_request))} before"),
            card("Per 1,000 tokens", figures.usd(round_usd(total.cost_per_1000_tokens)), f"{figures.commas(total.tokens)} tokens"),
            card("Reported by providers", figures.usd(total.provider_cost_usd), "what they say that it cost"),
            card("Saved by the cache", figures.usd(total.saved_usd), f"{figures.commas(total.cached)} answers"),
        ]  # fmt: skip

    @property
    def changes(self) -> list[SpendRow]:
        """The groups whose spend changed most."""
        found = [row for row in self.rows if row.change]
        return sorted(found, key=lambda row: -abs(row.change))[:MOST_CHANGES]

    @property
    def chart(self) -> str:
        """The data for unfold's chart: a stack of the dearest groups for each day."""
        group, days = self.choice.group, every_day(self.choice)
        dearest = [row.keys[0] for row in self.report.rows[:MOST_SERIES]]
        if group == "tag":
            # No filter finds the requests without a tag: they are among the others.
            dearest = [value for value in dearest if value]
        query = self.choice.query(bucket="day")
        rest = _by_day(reports.run(query))[()]
        filters = {**query.filters, group: tuple(dearest)}
        chosen = replace(query, group_by=(group,), filters=filters)
        spent = _by_day(reports.run(chosen)) if dearest else {}
        stacks = [(self.name(value), spent[(value,)]) for value in dearest]
        others = {
            day: max(Decimal(0), rest[day] - sum(one[day] for _, one in stacks))
            for day in days
        }
        if any(others.values()):
            stacks.append((REST, others))
        return charts.bars(
            [f"{day:%b %d}" for day in days],
            [
                charts.ChartSeries(
                    title,
                    [float(sums[day]) for day in days],
                    charts.COLOURS[-1 if title == REST else at],
                )
                for at, (title, sums) in enumerate(stacks)
            ],
        )


def _by_day(report: Report) -> dict[tuple[str, ...], dict[dt.date, Decimal]]:
    """USD by group and day; 0 of those without."""
    found: dict[tuple[str, ...], dict[dt.date, Decimal]]
    found = defaultdict(lambda: defaultdict(Decimal))
    for row in report.rows:
        if row.start is not None:
            found[row.keys][row.start.date()] += row.figures.cost_usd
    return found


def round_usd(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else round(amount, 6)


def spend_view(admin: Admin, request: HttpRequest) -> HttpResponseBase:
    """The page, and its table as CSV with `csv=1`."""
    if not request.user.has_perm(RIGHT):
        raise PermissionDenied
    choice = read_choice(request.GET.dict(), timezone.now().date())
    context: dict[str, Any]
    try:
        if request.GET.get("csv"):
            query = choice.query(group_by=(choice.group,), compare=True)
            name = f"spend-{choice.start}-{choice.last}.csv"
            lines = exports.report_lines(query, reports.run(query), "csv")
            return downloads.download(name, lines)
        page = SpendPage(choice)
        context = {
            "page": page,
            "chart": page.chart,
            "chart_options": charts.STACKED_OPTIONS,
        }
    except ReportError as error:
        context = {"problem": str(error)}
    except DatabaseError:
        context = {
            "problem": "The figures took too long: choose fewer days, or try again in a while."
        }
    return admin.page(
        request,
        "admin/billing/spend.html",
        title="Spend",
        choice=choice,
        groups=[(name, title, choice.url(group=name)) for name, title in GROUPS.items()],
        presets=[(name, title, choice.url(span=name)) for name, title in PRESETS.items()],
        chosen=[(name, _named(name, value), choice.url(**{name: ""})) for name, value in choice.filters.items()],
        csv=choice.url(csv="1"),
        **context,
    )  # fmt: skip


def _named(dimension: str, value: str) -> str:
    return names_of([value]).get(value, value) if dimension == "customer" else value
