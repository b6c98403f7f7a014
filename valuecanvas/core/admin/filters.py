"""Filters of list pages that are cheap on large tables."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.dateparse import parse_date, parse_time
from unfold.contrib.filters.admin import (
    DropdownFilter,
    RangeDateTimeFilter,
    TextFilter,
)

MOST_NAMES = 300


class NamesFilter(DropdownFilter):  # type: ignore[misc]
    """Filters by a column of names, offered from a small table, not by DISTINCT."""

    # (name, title); read anew each time.
    rows: QuerySet | None = None

    def names(self) -> Iterable[tuple[str, str]]:
        if self.rows is None:
            raise NotImplementedError
        return list(self.rows.all()[:MOST_NAMES])

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        # A selected name may no longer be configured: history outlives the configuration.
        offered = dict(self.names())
        chosen = request.GET.get(self.parameter_name)
        if chosen:
            offered.setdefault(chosen, chosen)
        return list(offered.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        value = self.value()
        return queryset.filter(**{self.parameter_name: value}) if value else queryset


class TermFilter(TextFilter):  # type: ignore[misc]  # unfold has no types
    """Filters by a term that is typed: by default the column's whole text."""

    def condition(self, term: str) -> Q:
        """The condition that rows of this term fulfil."""
        return Q(**{self.parameter_name: term})

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        term = (self.value() or "").strip()
        return queryset.filter(self.condition(term)) if term else queryset


class ConditionFilter(DropdownFilter):  # type: ignore[misc]
    """Filters by named conditions: (name in the URL, title, condition)."""

    # The condition if none is chosen.
    usual = Q()

    def conditions(self) -> Iterable[tuple[str, str, Q]]:
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, title) for name, title, _ in self.conditions()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        found = {name: condition for name, _, condition in self.conditions()}
        return queryset.filter(found.get(self.value() or "", self.usual))


class TimeFilter(RangeDateTimeFilter):  # type: ignore[misc]
    """From and to, in UTC. A date without a time means its whole day."""

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        ends = (("from", "gte", dt.time.min), ("to", "lte", dt.time.max))
        for end, lookup, otherwise in ends:
            moment = self._moment(end, otherwise)
            if moment:
                queryset = queryset.filter(**{f"{self.field_path}__{lookup}": moment})
        return queryset

    def _moment(self, end: str, otherwise: dt.time) -> dt.datetime | None:
        def given(part: int) -> str:
            name = f"{self.parameter_name}_{end}_{part}"
            return str(self.used_parameters.get(name) or "")

        try:
            day, time = parse_date(given(0)), parse_time(given(1))
        except ValueError:  # such as February 30th
            return None
        return dt.datetime.combine(day, time or otherwise, dt.UTC) if day else None
