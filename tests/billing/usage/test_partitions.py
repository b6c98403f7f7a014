"""The ledger's months: each request lies in that of its id, and each id is there once."""

import datetime as dt
import uuid
from collections.abc import Callable

import pytest
from django.db import IntegrityError, connection, transaction

from billing import tasks
from billing.models import CorrectedRequest, Usage
from billing.usage import partitions
from tests.admin.rows import make_usage
from tests.clock import today
from tests.tampering import tampering
from valuecanvas.core.ids import uuid7

pytestmark = pytest.mark.django_db(transaction=True)


def month(ahead: int = 0) -> dt.date:
    """The first day of this month, or of one so many months later."""
    return partitions.shift_month(today(), ahead)


def last_id(first: dt.date) -> uuid.UUID:
    """The largest id of the month that begins on that day."""
    after = partitions.first_id(partitions.shift_month(first, 1))
    return uuid.UUID(int=after.int - 1)


@pytest.fixture(autouse=True)
def months() -> None:
    """Those that a run which began last month may not have."""
    partitions.add_months()


def table_of(row: Usage) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tableoid::regclass::text FROM llm_usage WHERE id = %s", [row.pk]
        )
        [(name,)] = cursor.fetchall()
    return str(name)


def save(request_id: uuid.UUID, **fields: object) -> Usage:
    return make_usage(id=request_id, **fields)


def drop(month: dt.date) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS llm_usage_{month:%Y_%m}")


@pytest.mark.parametrize(
    ("make_id", "table"),
    [
        (uuid7, "llm_usage_{:%Y_%m}"),
        (lambda: partitions.first_id(month()), "llm_usage_{:%Y_%m}"),
        (lambda: last_id(month()), "llm_usage_{:%Y_%m}"),
        (lambda: partitions.first_id(dt.date(2020, 5, 1)), "llm_usage_history"),
        (lambda: partitions.first_id(dt.date(2120, 5, 1)), "llm_usage_other"),
        (lambda: uuid.UUID("ffffffff-ffff-4fff-8fff-ffffffffffff"), "llm_usage_other"),
    ],
)
def test_row__of_any_id__lies_in_the_partition_of_its_month(
    make_id: Callable[[], uuid.UUID], table: str
) -> None:
    assert table_of(save(make_id())) == table.format(month())


def test_row__with_an_id_that_is_there__is_refused_in_every_partition() -> None:
    for day in (dt.date(2020, 5, 1), today(), dt.date(2120, 5, 1)):
        row = save(partitions.first_id(day))
        with pytest.raises(IntegrityError, match="pkey"):
            row.save(force_insert=True)


def test_correction__a_second_one_in_another_month__is_refused() -> None:
    row = make_usage()
    save(partitions.first_id(dt.date(2020, 5, 1)), corrects=row.pk, status="correction")
    with pytest.raises(IntegrityError, match="llm_usage_corrected_pkey"):
        save(uuid7(), corrects=row.pk, status="correction")
    assert CorrectedRequest.objects.get().pk == row.pk
    with pytest.raises(IntegrityError, match="append-only"):
        CorrectedRequest.objects.all().delete()


@pytest.mark.parametrize("table", ["history", "other", "{:%Y_%m}"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET model = ''", "DELETE FROM {}", "TRUNCATE {}"])  # fmt: skip
def test_partition__changed_past_its_parent__refuses(
    table: str, statement: str
) -> None:
    for day in (dt.date(2020, 5, 1), today(), dt.date(2120, 5, 1)):
        save(partitions.first_id(day))
    refused = pytest.raises(IntegrityError, match="append-only")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(f"llm_usage_{table}".format(today())))


def test_add_months__all_there__adds_none() -> None:
    assert partitions.add_months() == []
    held = partitions.load_partitions()
    assert held[0] == partitions.Partition("llm_usage_history", None, held[1].first)
    assert all(
        one.end == next_.first for one, next_ in zip(held, held[1:], strict=False)
    )


def test_add_months__the_last_are_missing__adds_them_with_all_indexes() -> None:
    months = [month(ahead=2), month(ahead=3)]
    for one in months:
        drop(one)
    names = [f"llm_usage_{one:%Y_%m}" for one in months]
    assert tasks.partition_ledger()["added"] == names
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_indexes WHERE tablename IN (%s, 'llm_usage') "
            "GROUP BY tablename",
            [names[0]],
        )
        [(child,), (parent,)] = cursor.fetchall()
    assert child == parent


def test_add_months__rows_of_the_month_lie_elsewhere__leaves_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partitions, "AHEAD", partitions.AHEAD + 1)
    last = month(ahead=partitions.AHEAD)
    row = save(uuid.UUID(int=partitions.first_id(last).int + 5))
    assert partitions.add_months() == []
    assert table_of(row) == "llm_usage_other"
    with tampering():
        Usage.objects.all().delete()
    assert partitions.add_months() == [f"llm_usage_{last:%Y_%m}"]
    drop(last)


def test_write__by_the_version_before__has_one_correction_a_request() -> None:
    """Its statement inserts a correction with an id and a check of its own."""
    row = make_usage()
    names = [str(field.column) for field in Usage._meta.concrete_fields]
    copied = ", ".join({"id": "%s", "corrects": "id"}.get(one, one) for one in names)
    statement = (
        f"INSERT INTO llm_usage ({', '.join(names)}) SELECT {copied} FROM llm_usage u "  # noqa: S608 - names of columns
        "WHERE id = %s AND NOT EXISTS (SELECT FROM llm_usage c WHERE c.corrects = u.id)"
    )
    with connection.cursor() as cursor:
        for count in (1, 0):
            cursor.execute(statement, [uuid7(), row.pk])
            assert cursor.rowcount == count
