"""Old months leave the database only as verified files, and no check misses them."""

import datetime as dt
import gzip
import hashlib
import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from billing.accounting import reconcile
from billing.models import CorrectedRequest, Customer, Usage, UsageArchive
from billing.usage import archive, partitions
from tests.admin.rows import make_usage

pytestmark = pytest.mark.django_db(transaction=True)
MONTH = dt.date(2020, 5, 1)
NAME = "llm_usage_2020_05"


@pytest.fixture
def month(settings: Any, tmp_path: Path) -> Iterator[dt.date]:
    """An old month as a partition of its own, as it is years after the upgrade."""
    settings.USAGE_KEEP_MONTHS = 3
    settings.USAGE_ARCHIVE_DIR = str(tmp_path / "archive")
    bound = partitions.load_partitions()[0].end
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE llm_usage DETACH PARTITION llm_usage_history")
        cursor.execute("SELECT llm_usage_add_month(%s)", [MONTH])
        cursor.execute(
            "ALTER TABLE llm_usage ATTACH PARTITION llm_usage_history "
            f"FOR VALUES FROM ('{partitions.first_id(dt.date(2020, 6, 1))}') "
            f"TO ('{partitions.first_id(bound)}')"
        )
    yield MONTH
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {NAME}")
        cursor.execute("ALTER TABLE llm_usage DETACH PARTITION llm_usage_history")
        cursor.execute(
            "ALTER TABLE llm_usage ATTACH PARTITION llm_usage_history "
            f"FOR VALUES FROM (MINVALUE) TO ('{partitions.first_id(bound)}')"
        )


def fill() -> list[Usage]:
    """Three requests of the month; the last was settled in the next one."""
    end = dt.datetime(2020, 5, 31, 23, 58, tzinfo=dt.UTC)
    return [
        make_usage(
            id=uuid.UUID(int=partitions.first_id(MONTH).int + number),
            created_at=end + dt.timedelta(minutes=number),
            cost_usd=Decimal("0.1") + Decimal(number) / 1_000_000,
            provider_cost_usd=Decimal("0.000001"),
            prompt_key='a "quoted"\n\\key é',
            marks=["estimated"],
        )
        for number in range(3)
    ]


def tables() -> list[str]:
    return [one.name for one in partitions.load_partitions()]


def test_archive__a_month_that_is_due__is_a_file_and_leaves_the_database(
    month: dt.date,
) -> None:
    rows, young = fill(), make_usage()
    make_usage(corrects=rows[0].pk, status="correction", cost_usd=Decimal("-0.1"))
    call_command("archive_usage")
    made = UsageArchive.objects.get(pk=NAME)
    path = Path(made.path)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (
        0o600,
        0o700,
    )
    assert made.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (made.rows, made.cost_usd) == (3, Decimal("0.300003"))
    found = list(archive.read_lines(path))
    assert [uuid.UUID(one["id"]) for one in found] == [row.pk for row in rows]
    assert found[2]["cost_usd"] == Decimal("0.100002")
    assert found[0]["prompt_key"] == rows[0].prompt_key
    assert found[0].keys() == {one.column for one in Usage._meta.concrete_fields}
    assert NAME not in tables()
    assert set(Usage.objects.values_list("pk", flat=True)) >= {young.pk}
    assert not Usage.objects.filter(pk__in=[row.pk for row in rows]).exists()
    assert CorrectedRequest.objects.filter(pk=rows[0].pk).exists()
    # The last was settled on 1 June.
    assert made.complete_from == dt.date(2020, 6, 2)
    assert archive.archive_due() == []


def test_reconcile__after_a_month_was_archived__reports_no_drift_of_it(
    month: dt.date,
) -> None:
    rows = fill()
    make_usage(
        Customer.objects.get(pk=rows[0].customer_id),
        id=partitions.first_id(dt.date(2020, 6, 5)),
        corrects=rows[0].pk,
        status="correction",
        cost_usd=Decimal(0),
        created_at=dt.datetime(2020, 6, 5, tzinfo=dt.UTC),
        day=MONTH,
    )
    before = {
        one.invariant.name for one in reconcile.check(None).findings if not one.ok
    }
    assert before == {"spent", "used"}
    archive.archive_due()
    report = reconcile.check(None)
    assert report.first == dt.date(2020, 6, 2)
    assert [one.invariant.name for one in report.findings if not one.ok] == []


def test_archive__dry__names_what_is_due(month: dt.date, capsys: Any) -> None:
    fill()
    call_command("archive_usage", "--dry-run")
    assert f"Due: {NAME}" in capsys.readouterr().out
    assert NAME in tables()


def test_archive__all_months_are_kept__does_nothing(
    month: dt.date, settings: Any
) -> None:
    settings.USAGE_KEEP_MONTHS = 0
    call_command("archive_usage")
    assert NAME in tables()


def test_archive__a_row_came_meanwhile__keeps_the_month(
    month: dt.date, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill()
    read_back = archive._read_back

    def late(path: Path) -> Any:
        make_usage(id=uuid.UUID(int=partitions.first_id(MONTH).int + 9))
        return read_back(path)

    monkeypatch.setattr(archive, "_read_back", late)
    with pytest.raises(CommandError, match="has 3 rows .* has 4 of"):
        call_command("archive_usage")
    assert NAME in tables()
    monkeypatch.undo()
    assert archive.archive_due()[0].rows == 4


def test_archive__the_file_cannot_be_read_back__keeps_the_month(
    month: dt.date, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    fill()

    def broken(table: str, draft: Path) -> None:
        with gzip.open(draft, "wt") as file:
            file.write(json.dumps({"cost_usd": 0.1, "provider_cost_usd": 0.1}) + "\n")

    monkeypatch.setattr(archive, "_export", broken)
    with pytest.raises(CommandError, match="has 1 rows"):
        call_command("archive_usage")
    assert NAME in tables()
    settings.USAGE_ARCHIVE_DIR = "/proc/none"
    with pytest.raises(CommandError, match="/proc/none"):
        call_command("archive_usage")
