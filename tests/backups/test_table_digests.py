"""Rows and hashes of tables: the same for the same contents, other for any change."""

import json
import random
import re
from collections.abc import Iterator

import hypothesis
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from tests.fixtures_backups import BackupPlace
from valuecanvas.backups import creation
from valuecanvas.backups.errors import DamagedBackup
from valuecanvas.backups.postgresql import client_programs, databases, table_digests
from valuecanvas.backups.repository import BackupRepository, new_name, work_folder
from valuecanvas.backups.types import Table, quiet

COLUMNS = """
    t text, j jsonb, b bytea, a text[], n numeric, f float8, r real, i bigint,
    at timestamptz, d date, span interval, u uuid, flag boolean
"""
# Every plane that has letters, and what has a meaning in a row's text.
TEXTS = [
    "", " ", "NULL", '"', '""', "\\", "\\N", "(a,b)", ",", "a\nb\tc\r", "'", "{}", "%s",
    "é", "漢", "\ufffd", "\U0001f600", "\U00020000", "\U00030000", "\U000e0041",
    "\U000f0000", "\U0010ffff", "e\u0301", "\u202e", "\x01\x7f",
]  # fmt: skip
# (column, text of the value), as PostgreSQL reads it.
AWKWARD = [
    ("j", json.dumps({"b": [1, None, {"x": "\\u0001"}], "a": "漢", "n": 1e300})),
    ("j", "null"),
    ("j", "1.10"),
    ("b", "\\x"),
    ("b", "\\x00ff5c22"),
    ("a", "{}"),
    ("a", '{NULL,"NULL","",",","\\\\"}'),
    ("a", "{{a,b},{c,d}}"),
    ("n", "NaN"),
    ("n", "Infinity"),
    ("n", "-0.000"),
    ("n", "9" * 400 + "." + "1" * 400),
    ("n", "1.10"),
    ("n", "1.1"),
    ("f", "-0"),
    ("f", "NaN"),
    ("f", "5e-324"),
    ("f", "0.1"),
    ("f", "1.7976931348623157e308"),
    ("r", "0.1"),
    ("i", "-9223372036854775808"),
    ("at", "infinity"),
    ("at", "4713-01-01 00:00:00+00 BC"),
    ("at", "2026-03-29 01:59:59.999999+01"),
    ("at", "294276-12-31 23:59:59.999999+00"),
    ("d", "-infinity"),
    ("span", "-1 year 2 days -00:00:00.000001"),
    ("u", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    ("flag", "f"),
]


NAME = 'odd "schema.Odd; name'


@pytest.fixture
def table(transactional_db: None) -> Iterator[psycopg.Connection]:
    """A connection; its table has an odd name in a schema of the test's own."""
    server = client_programs.server()
    with client_programs.connect(server, autocommit=True) as connection:
        connection.execute('CREATE SCHEMA "odd ""schema"')
        connection.execute('SET search_path = "odd ""schema", public')
        connection.execute(f'CREATE TABLE "Odd; name" ({COLUMNS})')
        yield connection
        connection.execute('DROP SCHEMA "odd ""schema" CASCADE')


def digest(connection: psycopg.Connection) -> Table:
    with connection.transaction():
        table_digests.prepare(connection)
        return table_digests.digests(connection)[NAME]


def refill(connection: psycopg.Connection, rows: list[tuple[str, str | None]]) -> Table:
    """Each row has one value in one column; the digest of the table."""
    connection.execute('DELETE FROM "Odd; name"')
    for column, text in rows:
        statement = sql.SQL('INSERT INTO "Odd; name" ({}) VALUES ({})')
        connection.execute(statement.format(sql.Identifier(column), sql.Literal(text)))
    return digest(connection)


def test_digest__rows_in_another_order__is_the_same(table: psycopg.Connection) -> None:
    rows = [*AWKWARD, *(("t", text) for text in TEXTS), ("t", None)]
    first = refill(table, rows)
    assert first.rows == len(rows)
    assert refill(table, rows[::-1]) == first
    random.Random(1).shuffle(rows)
    assert refill(table, rows) == first


def test_digest__of_each_single_value__differs_from_all_others(
    table: psycopg.Connection,
) -> None:
    rows = [*AWKWARD, *(("t", text) for text in TEXTS), ("t", None)]
    assert len({refill(table, [row]).hash for row in rows}) == len(rows)


def test_digest__the_same_row_twice__counts(table: psycopg.Connection) -> None:
    once = refill(table, [("t", "a")])
    twice = refill(table, [("t", "a")] * 2)
    assert (once.rows, twice.rows) == (1, 2)
    assert once.hash != twice.hash
    assert twice.hash != refill(table, [("t", "a"), ("t", "b")]).hash


def test_digest__any_session__is_the_same(table: psycopg.Connection) -> None:
    before = refill(table, AWKWARD)
    for statement in (
        "SET TIME ZONE 'Asia/Kathmandu'",
        "SET datestyle = 'German, DMY'",
        "SET intervalstyle = 'sql_standard'",
        "SET bytea_output = 'escape'",
        "SET extra_float_digits = -15",
        "SET search_path = public",
        "SET enable_seqscan = off",
    ):
        table.execute(statement)
    assert digest(table) == before


def test_digest__a_column_beside_one_named_t__is_in_it(
    table: psycopg.Connection,
) -> None:
    before = refill(table, [("t", "the same")])
    table.execute('UPDATE "Odd; name" SET i = 1')
    assert digest(table) != before


VALUES = st.one_of(
    st.tuples(st.just("t"), st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8)),
    st.tuples(st.just("i"), st.integers(-(2**63), 2**63 - 1).map(str)),
    st.tuples(st.just("f"), st.floats().map(repr)),
    st.tuples(st.just("n"), st.decimals(-(10**40), 10**40).map(str)),
    st.tuples(st.just("b"), st.binary(max_size=8).map(lambda raw: f"\\x{raw.hex()}")),
    st.tuples(st.just("j"), st.recursive(st.none() | st.booleans() | st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=5).map(json.dumps)),
    st.tuples(st.just("at"), st.datetimes().map(lambda at: f"{at.isoformat()}+00")),
)  # fmt: skip


@hypothesis.settings(
    derandomize=True,
    max_examples=40,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@given(st.lists(VALUES, min_size=1, max_size=6), st.randoms())
def test_digest__any_rows__tells_their_set_and_not_their_order(
    table: psycopg.Connection, rows: list[tuple[str, str | None]], dice: random.Random
) -> None:
    first = refill(table, rows)
    dice.shuffle(rows)
    assert refill(table, rows) == first
    assert refill(table, rows[1:]).hash != first.hash
    assert refill(table, [("flag", "t"), *rows[1:]]).hash != first.hash


def test_backup__of_awkward_contents__comes_back_the_same(
    table: psycopg.Connection, backup_place: BackupPlace
) -> None:
    table.execute(
        'CREATE TABLE "odd ""schema".none (); INSERT INTO none DEFAULT VALUES'
    )
    before = refill(table, [*AWKWARD, *(("t", text) for text in TEXTS)])
    repository, name, server = BackupRepository(), new_name(), client_programs.server()
    summary = creation.create(repository, name)
    with (
        databases.exclusive(server) as lock,
        work_folder() as folder,
        databases.scratch_database(lock, server) as copy,
    ):
        contents = databases.load(repository, summary, copy, folder, quiet)
        assert contents.tables[NAME] == before
        databases.compare(contents, copy, quiet)
        for change, told in (
            ("UPDATE \"Odd; name\" SET t = 'b' WHERE t = ''", "other contents"),
            ("DELETE FROM \"Odd; name\" WHERE t = 'b'", f"{before.rows - 1} rows, {before.rows} in the backup"),
            ('ALTER TABLE "Odd; name" RENAME TO new', f"{NAME}: missing; odd \"schema.new: not in the backup."),
            ("DROP SCHEMA public CASCADE", f"and {len(contents.tables) - 5} more."),
        ):  # fmt: skip
            with client_programs.connect(copy) as connection:
                connection.execute('SET search_path = "odd ""schema", public')
                connection.execute(change)
            with pytest.raises(DamagedBackup, match=re.escape(told)):
                databases.compare(contents, copy, quiet)
