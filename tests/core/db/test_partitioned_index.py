"""An index of a partitioned table is built part by part, and again after a crash."""

from collections.abc import Iterator

import pytest
from django.db import NotSupportedError, connection, models, transaction
from django.db.migrations.loader import MigrationLoader

from valuecanvas.core.db.partitioned_index import AddIndexToPartitions

pytestmark = pytest.mark.django_db(transaction=True)
INDEX = models.Index(
    fields=["endpoint", "-created_at"],
    name="llm_usage_trial",
    condition=~models.Q(endpoint=""),
)
ADD = AddIndexToPartitions("usage", INDEX)


def apply() -> None:
    state = MigrationLoader(connection).project_state()
    later = state.clone()
    ADD.state_forwards("billing", later)
    with connection.schema_editor(atomic=False) as editor:
        ADD.database_forwards("billing", editor, state, later)


def take_back() -> None:
    state = MigrationLoader(connection).project_state()
    later = state.clone()
    ADD.state_forwards("billing", later)
    with connection.schema_editor(atomic=False) as editor:
        ADD.database_backwards("billing", editor, later, state)


def names() -> set[str]:
    """The index and its parts."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname FROM pg_indexes WHERE indexname ~ '^llm_.*_trial$'"
        )
        return {name for (name,) in cursor.fetchall()}


def parts() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits "
            "WHERE inhparent = 'llm_usage'::regclass"
        )
        return {name for (name,) in cursor.fetchall()}


def is_valid() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('llm_usage_trial')"
        )
        return bool(cursor.fetchone()[0])


@pytest.fixture(autouse=True)
def without_it() -> Iterator[None]:
    yield
    take_back()


def test_index__of_a_partitioned_table__is_valid_on_each_part() -> None:
    apply()
    assert is_valid()
    assert names() == {"llm_usage_trial", *(f"{part}_trial" for part in parts())}
    take_back()
    assert names() == set()


def test_index__after_a_crash_in_the_middle__is_finished() -> None:
    one, other, *_ = sorted(parts())
    on = "(endpoint, created_at DESC) WHERE endpoint <> ''"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE INDEX llm_usage_trial ON ONLY llm_usage {on}")
        cursor.execute(f"CREATE INDEX {one}_trial ON {one} {on}")
        cursor.execute(f"ALTER INDEX llm_usage_trial ATTACH PARTITION {one}_trial")
        # Built, and not joined: a crash may also have left it invalid.
        cursor.execute(f"CREATE INDEX {other}_trial ON {other} (status)")
    assert not is_valid()
    apply()
    assert is_valid()


def test_index__within_a_transaction__is_refused() -> None:
    with transaction.atomic(), pytest.raises(NotSupportedError):
        apply()


def test_ledger__each_part__has_the_indexes_of_the_whole() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, count(*) FROM pg_inherits i JOIN pg_class c "
            "ON c.oid = i.inhrelid JOIN pg_index x ON x.indrelid = c.oid "
            "WHERE i.inhparent = 'llm_usage'::regclass AND x.indisvalid GROUP BY 1"
        )
        counts = dict(cursor.fetchall())
        cursor.execute(
            "SELECT count(*) FROM pg_index WHERE indrelid = 'llm_usage'::regclass"
        )
        (whole,) = cursor.fetchone()
    assert set(counts) == parts()
    assert set(counts.values()) == {whole}
