"""A list page that stays fast at millions of rows."""

from typing import Any

from django.core.paginator import Paginator
from django.db import DatabaseError, connection
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.views import ChangeList

from valuecanvas.core.db.statement_timeout import limited_cursor

# Pages end at this many rows, since OFFSET reads all rows that it skips: use filters.
MOST_ROWS = 10_000
COUNT_TIMEOUT_MS = 700


def estimate(*tables: str) -> int:
    """PostgreSQL's estimate of the rows in `tables`; -1 if it has none yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(reltuples) FILTER (WHERE reltuples >= 0), -1)::bigint "
            "FROM pg_class WHERE relkind = 'r' AND oid IN ("
            "SELECT to_regclass(name) FROM unnest(%(names)s::text[]) AS name UNION "
            "SELECT relid FROM unnest(%(names)s::text[]) AS name, "
            "pg_partition_tree(to_regclass(name)))",
            {"names": list(tables)},
        )
        row = cursor.fetchone()
    return int(row[0]) if row else -1


def bounded_count(rows: QuerySet) -> int | None:
    """The number of `rows`, at most MOST_ROWS + 1; None if counting takes too long."""
    try:
        with limited_cursor(COUNT_TIMEOUT_MS):
            return rows.order_by()[: MOST_ROWS + 1].count()
    except DatabaseError:
        return None


class EstimatedPaginator(Paginator):
    """Counts no more rows than it shows. `about` is the estimated total, if it is larger."""

    template_name = "admin/large_table_pages.html"
    about: int | None = None

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        if not rows.query.where:
            # A view has no estimate of its own: its model names the tables.
            tables = getattr(rows.model, "tables", [rows.model._meta.db_table])
            guess = estimate(*tables)
            if guess > MOST_ROWS:
                self.about = guess
                return MOST_ROWS
        count = bounded_count(rows)
        return MOST_ROWS if count is None else min(count, MOST_ROWS)

    @property
    def cut(self) -> bool:
        """Whether there may be rows beyond the last page."""
        return self.count >= MOST_ROWS


class RowsChangeList(ChangeList):  # type: ignore[misc]
    """Skips large columns, and lets the admin add data to the rows of one page."""

    result_list: Any
    full_result_count: int | None

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet:
        rows: QuerySet = super().get_queryset(request, *args, **kwargs)
        return rows.defer(*self.model_admin.list_defer)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        if self.full_result_count is None:
            # Unknown: else the header would offer to show all.
            self.full_result_count = self.result_count
        self.model_admin.attach(self.result_list)
