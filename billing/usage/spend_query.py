"""The Spend page's choices, as its URL has them."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from billing.usage.partitions import shift_month
from billing.usage.reports import DIMENSIONS, MOST_DAYS, UsageQuery

GROUPS = {
    "team": "Team",
    "customer": "Customer",
    "key": "API key",
    "model": "Model",
    "provider": "Provider",
    "prompt": "Prompt",
    "tag": "Tag",
}
PRESETS = {
    "today": "Today",
    "week": "7 days",
    "month": "30 days",
    "this-month": "This month",
    "last-month": "Last month",
    "quarter": "90 days",
}
USUAL = "month"
_DAYS = {"today": 1, "week": 7, "month": 30, "quarter": 90}
DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SpendChoice:
    """UTC days from `start` to `last`, the group, and what is looked at more closely."""

    start: dt.date
    last: dt.date
    # '' where the days were given.
    preset: str = USUAL
    group: str = "model"
    filters: Mapping[str, str] = field(default_factory=dict)

    @property
    def days(self) -> int:
        return (self.last - self.start).days + 1

    def query(self, **options: Any) -> UsageQuery:
        """The report of these days and filters."""
        return UsageQuery(
            start=self.start,
            end=self.last + DAY,
            filters={name: (value,) for name, value in self.filters.items()},
            **options,
        )

    def url(self, **changes: str) -> str:
        """The URL's query with changes; a change to '' removes a filter."""
        days = {"from": self.start.isoformat(), "to": self.last.isoformat()}
        span = {"span": self.preset} if self.preset else days
        asked = {**span, "group": self.group, **self.filters, **changes}
        if "span" in changes:
            asked = {name: asked[name] for name in asked if name not in ("from", "to")}
        return "?" + urlencode({name: value for name, value in asked.items() if value})


def read_choice(asked: Mapping[str, str], today: dt.date) -> SpendChoice:
    """The choices of a URL's query; what is not valid is left out."""
    group = asked.get("group", "")
    filters = {name: asked[name] for name in DIMENSIONS if asked.get(name)}
    start, last, preset = _days(asked, today)
    return SpendChoice(
        start, last, preset, group if group in GROUPS else "model", filters
    )


def _days(asked: Mapping[str, str], today: dt.date) -> tuple[dt.date, dt.date, str]:
    start, last = (_date(asked.get(name, "")) for name in ("from", "to"))
    if start and last and start <= last < start + MOST_DAYS * DAY:
        return start, last, ""
    preset = asked.get("span", "")
    if preset == "this-month":
        return today.replace(day=1), today, preset
    if preset == "last-month":
        return shift_month(today, -1), today.replace(day=1) - DAY, preset
    preset = preset if preset in _DAYS else USUAL
    return today - (_DAYS[preset] - 1) * DAY, today, preset


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def every_day(choice: SpendChoice) -> Sequence[dt.date]:
    """The days of a choice, at most MOST_DAYS."""
    return [choice.start + number * DAY for number in range(choice.days)]
