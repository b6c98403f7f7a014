"""What the ledger's own connection and tables refuse, and what lands all the same."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from django.db import IntegrityError, connection, connections, transaction
from psycopg import sql

from billing.ledger import Admit, Admitted, Charge, Ledger, Settle, Stored, commit_now
from billing.ledger.connection import connect
from billing.ledger.sanitize import sanitize_item
from billing.models import Usage
from tests.fixtures_ledger import COLUMNS, Desk, make_settle
from tests.invariants import assert_books_balance, assert_nothing_held

PASSWORD = uuid.uuid4().hex


async def held(ledger: Ledger, *items: Admit) -> list[Admitted]:
    return [await ledger.put(item) for item in items]


# A settlement that the database does not take as it is


async def test_submit__words_that_postgresql_refuses__are_billed_without_them(
    desk: Desk, ledger: Ledger, db_thread: Any
) -> None:
    one, other = await held(ledger, desk.admit(), desk.admit())
    odd = make_settle(one, 40, error_code="a\0b", status="x" * 30)
    odd = Settle(
        one,
        {**COLUMNS, "user_id": "u\0\ud800", "flags": {"a\0": ["\0"]}},
        1,
        odd.charge,
    )
    waiting = [ledger.submit(item) for item in (odd, make_settle(other, 50))]
    answers = [await one for one in waiting]
    assert [(answer.first, answer.cost) for answer in answers] == [
        (True, 40),
        (True, 50),
    ]

    def look() -> Usage:
        assert_nothing_held()
        assert_books_balance()
        return Usage.objects.get(pk=one.id)

    row = await db_thread.run(look)
    assert (row.error_code, row.status, row.user_id) == ("ab", "x" * 20, "u?")
    assert row.flags == {"a": [""]}


COUNTS = ("latency_ms", "ttft_ms", "attempts", "prompt_tokens", "cached_tokens")
# What a row cannot have, in any of its parts: the row lands without it.
WRONG: list[tuple[dict[str, Any], dict[str, Any]]] = [
    *(({name: value}, {}) for name in COUNTS for value in (2**70, -(2**70))),
    ({"latency_ms": 2**40}, {}),
    ({"attempts": 2**20}, {}),
    ({"provider_cost": 2**70}, {}),
    ({"saved": -(2**80)}, {}),
    ({}, {"prompt_version": 2**40}),
    ({}, {"prompt_version": "three"}),
    ({}, {"subject": 2**70}),
    ({}, {"flags": {"a": 2**70}}),
    ({}, {"model": None, "user_id": None}),
    ({"source": "a" * 100, "provider": "p" * 300}, {"trace_id": "\ud800" * 90}),
]


@pytest.mark.parametrize(("charge", "facts"), WRONG)
async def test_submit__row_that_no_database_takes__lands_plainer_with_a_mark(
    desk: Desk,
    ledger: Ledger,
    db_thread: Any,
    charge: dict[str, Any],
    facts: dict[str, Any],
) -> None:
    (one,) = await held(ledger, desk.admit())
    wrong = replace(make_settle(one, 40, **charge), facts={**COLUMNS, **facts})
    assert (await ledger.submit(wrong)).first
    assert ledger.healthy

    def look() -> Usage:
        assert_nothing_held()
        return Usage.objects.get(pk=one.id)

    row = await db_thread.run(look)
    assert (row.cost_usd * 1_000_000, row.status) == (40, "ok")
    assert "reduced" in row.marks


def test_plainer__nothing_to_leave_out__is_none(desk: Desk) -> None:
    [one] = commit_now([desk.admit()])
    assert isinstance(one, Admitted)
    assert sanitize_item(make_settle(one, 1)) is None
    assert sanitize_item(Settle(one, {}, 1, None)) is None
    assert sanitize_item(desk.admit(user_id="a\0")) is None


def test_plainer__kept_answer__loses_only_what_cannot_be_kept(desk: Desk) -> None:
    [one] = commit_now([desk.admit()])
    assert isinstance(one, Admitted)
    answer = Stored(200, {"x": "a\0"}, b"\0")
    found = sanitize_item(Settle(one, COLUMNS, 1, Charge(), answer=answer))
    assert isinstance(found, Settle)
    assert found.answer == Stored(200, {"x": "a"}, b"\0")


# What fails is not written into PostgreSQL's log


def test_connect__superuser__keeps_statements_out_of_the_log(
    transactional_db: None,
) -> None:
    with connect() as session:
        for name, wanted in (
            ("log_min_error_statement", "panic"),
            ("log_error_verbosity", "terse"),
        ):
            row = session.execute(f"SHOW {name}").fetchone()
            assert row == (wanted,)


def test_commit__fails__its_words_are_not_in_the_log(desk: Desk) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        log = Path(f"/proc/{cursor.fetchone()[0]}/fd/2")
    if not log.is_file():
        pytest.skip("The server's log is not to be had.")
    [one] = commit_now([desk.admit()])
    assert isinstance(one, Admitted)
    canary = f"canary-{uuid.uuid4().hex}"
    bad = Settle(one, {**COLUMNS, "user_id": canary, "model": "a\0"}, 1, Charge())
    with pytest.raises(psycopg.errors.UntranslatableCharacter):
        commit_now([bad])
    words = log.read_bytes()
    assert b"unsupported Unicode escape sequence" in words
    assert canary.encode() not in words


@pytest.fixture
def plain_role(transactional_db: None) -> Iterator[dict[str, Any]]:
    """Django's settings for a role that may write, but is nobody special."""
    name = f"plain_{uuid.uuid4().hex[:8]}"
    role = sql.Identifier(name)
    with connection.cursor() as cursor:
        create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        cursor.execute(create.format(role, sql.Literal(PASSWORD)))
        grant = sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA public TO {}")
        cursor.execute(grant.format(role))
    mine = connections["default"].settings_dict
    before = {key: mine[key] for key in ("USER", "PASSWORD")}
    mine |= {"USER": name, "PASSWORD": PASSWORD}
    yield mine
    mine |= before
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP OWNED BY {}; DROP ROLE {}").format(role, role))


def test_connect__role_may_not_say_what_is_logged__says_how_to_allow_it(
    plain_role: dict[str, Any],
) -> None:
    with structlog.testing.capture_logs() as lines, connect() as session:
        assert session.execute("SELECT 1").fetchone() == (1,)
    [line] = [one for one in lines if one["event"] == "ledger.statements_logged"]
    with connection.cursor() as cursor:
        cursor.execute(line["remedy"].replace("its_role", plain_role["USER"]))
    with connect() as session:
        level = session.execute("SHOW log_min_error_statement").fetchone()
        assert level == ("panic",)


def test_connect__superuser_has_hushed_the_role__does_not_warn(
    plain_role: dict[str, Any],
) -> None:
    role = sql.Identifier(plain_role["USER"])
    with connection.cursor() as cursor:
        hush = sql.SQL("ALTER ROLE {} SET log_min_error_statement = 'panic'")
        cursor.execute(hush.format(role))
    with structlog.testing.capture_logs() as lines, connect():
        assert lines == []


# Rows stay as they were written


@pytest.mark.parametrize("change", ["update", "delete", "raw"])
def test_usage__changed_or_deleted__is_refused_by_the_database(
    desk: Desk, change: str
) -> None:
    [one] = commit_now([desk.admit()])
    assert isinstance(one, Admitted)
    commit_now([make_settle(one, 40)])
    rows = Usage.objects.filter(pk=one.id)
    refused = pytest.raises(IntegrityError, match="append-only")
    with refused, transaction.atomic():
        if change == "update":
            rows.update(cost_usd=0)
        elif change == "delete":
            rows.delete()
        else:
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM llm_usage")
    assert [row.cost_usd * 1_000_000 for row in rows] == [40]
    assert_books_balance()
