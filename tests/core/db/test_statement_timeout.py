"""How long the database is waited for: bounded for pages, unbounded for commands."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.db import OperationalError, connection, transaction
from django.test import RequestFactory

from valuecanvas.core.db import statement_timeout
from valuecanvas.core.db.statement_timeout import limit_statements, limited_cursor
from valuecanvas.core.postgresql.base import DatabaseWrapper
from valuecanvas.http.database_down import handle_server_error


@contextmanager
def another(**parameters: Any) -> Iterator[DatabaseWrapper]:
    """One more connection to the database of the tests."""
    found: Any = connection.copy()
    found.settings_dict = {**connection.settings_dict, **parameters}
    with closing(found):
        yield found


def limit(of: DatabaseWrapper) -> str:
    with of.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return str(cursor.fetchone()[0])


def test_connection__of_a_command__has_no_bound(transactional_db: None) -> None:
    assert statement_timeout.seconds() is None
    with another() as made:
        assert limit(made) == "0"


def test_connection__of_a_page__is_bounded_in_the_server_too(
    transactional_db: None,
) -> None:
    options = {**connection.settings_dict["OPTIONS"], "options": "-c timezone=UTC"}
    with limit_statements(7), another(OPTIONS=options) as made:
        assert limit(made) == "7s"
    assert statement_timeout.seconds() is None


def test_limited_cursor__within_a_page_s_transaction__leaves_its_bound(
    transactional_db: None,
) -> None:
    with limit_statements(7), transaction.atomic():
        with limited_cursor(50):
            pass
        assert limit(connection) == "7s"


def test_statement__slower_than_the_patience__is_given_up_and_the_connection(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement_timeout, "GRACE_S", 0.1)
    with another() as made, made.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        number = cursor.fetchone()[0]
        with limit_statements(0.2), pytest.raises(OperationalError):
            cursor.execute("SELECT pg_sleep(60)")
        assert made.connection.closed
    with connection.cursor() as cursor:
        # The server knows nothing of it yet.
        cursor.execute("SELECT pg_terminate_backend(%s, 60000)", [number])
        assert cursor.fetchone() == (True,)


def test_statement__refused__keeps_its_connection(transactional_db: None) -> None:
    with another() as made, made.cursor() as cursor:
        cursor.execute("SET statement_timeout = 50")
        with (
            limit_statements(30),
            pytest.raises(OperationalError, match="statement timeout"),
        ):
            cursor.execute("SELECT pg_sleep(60)")
        cursor.execute("SELECT 1")


def test_connect__server_takes_it_and_says_nothing__is_given_up(
    transactional_db: None,
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        options = {"connect_timeout": 2}
        with (
            another(PORT=port, HOST="127.0.0.1", OPTIONS=options) as made,
            pytest.raises(OperationalError, match="timeout"),
        ):
            made.ensure_connection()


def test_patience__within_another__holds_until_its_end() -> None:
    with limit_statements(5):
        with limit_statements(20):
            assert statement_timeout.seconds() == 20
        assert statement_timeout.seconds() == 5


def _broken_by(error: Exception, request: WSGIRequest) -> Any:
    try:
        raise error
    except type(error):
        return handle_server_error(request)


def test_middleware__database_away__is_a_503_too() -> None:
    page = _broken_by(OperationalError("gone"), RequestFactory().get("/admin/"))
    assert (page.status_code, page["Retry-After"]) == (503, "1")
    assert b"database does not answer" in page.content


def test_middleware__any_other_error__is_a_500() -> None:
    page = _broken_by(ZeroDivisionError(), RequestFactory().get("/admin/"))
    assert page.status_code == 500
    assert b"An error occurred" in page.content
