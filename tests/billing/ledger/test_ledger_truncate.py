"""Emptying a table of the books is refused by the database, as losing a row is."""

import pytest
from django.db import IntegrityError, connection, transaction

from billing.models import Usage
from tests.admin.rows import make_usage

pytestmark = pytest.mark.django_db

BOOKS = [
    "billing_counter",
    "billing_idempotency",
    "billing_ledgercheck",
    "billing_reservation",
    "llm_attempt",
    "llm_usage",
    "llm_usage_corrected",
]
HISTORY = [
    "core_audit_entry",
    "feature_flag_events",
    "prompt_events",
    "prompt_versions",
]
# A cascade from these reaches the history.
PARENTS = ["auth_user", "feature_flags", "prompts_prompt"]
# Of `tgtype`: 2 is BEFORE (the audit's come after), 8 is DELETE, 32 is TRUNCATE.
GUARDED = """
SELECT tgrelid::regclass::text, bit_or(tgtype) & 32 = 32 FROM pg_trigger
WHERE NOT tgisinternal AND tgtype & 2 = 2 GROUP BY 1 HAVING bit_or(tgtype) & 40 > 0
"""
PARTITIONS = """
SELECT relid::regclass::text FROM pg_partition_tree('llm_usage') WHERE isleaf
"""


def empty(tables: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {tables}")


def test_tables__that_refuse_to_lose_a_row__refuse_to_be_emptied() -> None:
    with connection.cursor() as cursor:
        cursor.execute(GUARDED)
        found = dict(cursor.fetchall())
        cursor.execute(PARTITIONS)
        partitions = [name for (name,) in cursor.fetchall()]
    assert len(partitions) >= 6
    assert [table for table, emptied in found.items() if not emptied] == []
    assert sorted(found) == sorted([*BOOKS, *HISTORY, *partitions])


@pytest.mark.parametrize("table", [*BOOKS, *HISTORY, *PARENTS])
def test_truncate__of_books_or_of_what_they_hang_on__is_refused(table: str) -> None:
    with pytest.raises(IntegrityError):
        empty(f"{table} CASCADE")


def test_truncate__of_the_ledger_among_others__keeps_every_row() -> None:
    row = make_usage()
    with pytest.raises(IntegrityError, match="append-only"):
        empty("django_session, llm_usage RESTART IDENTITY")
    assert Usage.objects.get().pk == row.pk
