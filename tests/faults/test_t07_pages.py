"""T7: PostgreSQL takes connections and says nothing: pages give up, and say so."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from importlib import import_module

import orjson
import psycopg
import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from pytest_django.plugin import DjangoDbBlocker

from tests.faults import rest
from tests.faults.conftest import Stage
from tests.faults.report import Case
from tests.faults.web import Web, webs
from tests.fixtures_billing import unique

# Whoever waits longer hangs. What is allowed is a tenth of it.
HANGS_S = 60
PAGES = ("/admin/", "/admin/prompts/prompt/", "/admin/billing/usage/")
CALL = "/api/prompts"


@pytest.fixture
def web(stage: Stage) -> Iterator[Web]:
    """One process, straight at the database, that waits for it a second."""
    env = {
        **stage.env,
        "DATABASE_URL": f"{stage.engines.postgres.url}?connect_timeout=2",
        "DB_PAGE_TIMEOUT_S": "1",
        # All four at once: one visitor has half of them.
        "PAGE_MAX_RUNNING": "8",
    }
    with webs([Web(stage.folder, env)]) as [made]:
        yield made


@pytest.fixture
def cookie(stage: Stage, django_db_blocker: DjangoDbBlocker) -> str:
    """Of a superuser who has signed in."""
    with django_db_blocker.unblock():
        return stage.engines.pool.submit(_signed_in).result()


def _signed_in() -> str:
    user = User.objects.create_superuser(unique("boss"), password="pw")
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


def ask(web: Web, path: str, cookie: str) -> tuple[int, str | None, bytes]:
    """Status, Retry-After and body. Raises TimeoutError where it hangs."""
    connection = HTTPConnection("127.0.0.1", web.port, timeout=HANGS_S)
    try:
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Retry-After"), answer.read()
    finally:
        connection.close()


def ask_all(web: Web, cookie: str) -> None:
    """All at once, and each is told."""
    with ThreadPoolExecutor(4) as pool:
        *pages, call = pool.map(lambda path: ask(web, path, cookie), (*PAGES, CALL))
    for status, retry_after, body in pages:
        assert (status, retry_after) == (503, "1")
        assert b"The database does not answer" in body
    status, retry_after, body = call
    assert (status, retry_after) == (503, "1")
    assert orjson.loads(body)["error"]["type"] == "service_unavailable_error"


@contextmanager
def frozen(stage: Stage, case: Case) -> Iterator[None]:
    stage.engines.freeze_postgres()
    case.inject("SIGSTOP")
    try:
        yield
    finally:
        stage.engines.thaw_postgres()


@contextmanager
def locked_sessions(stage: Stage) -> Iterator[None]:
    """Every page waits for its session, until the block ends."""
    with psycopg.connect(stage.engines.postgres.url) as connection:
        connection.execute("LOCK TABLE django_session IN ACCESS EXCLUSIVE MODE")
        yield


def waiting(stage: Stage) -> int:
    """How many statements wait for the sessions in the server."""
    with psycopg.connect(stage.engines.postgres.url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND query LIKE '%django_session%'"
        ).fetchone()
    return int(found[0]) if found else 0


def test_page__postgres_says_nothing_at_connect__gives_up_and_recovers(
    stage: Stage, case: Case, web: Web, cookie: str
) -> None:
    assert [ask(web, path, cookie)[0] for path in (*PAGES, CALL)] == [200] * 4
    before = rest.settled(web)
    with frozen(stage, case):
        ask_all(web, cookie)
    web.wait()
    assert [ask(web, path, cookie)[0] for path in (*PAGES, CALL)] == [200] * 4
    after = rest.settled(web)
    assert after["threads"] <= before["threads"]
    assert after["postgres"] <= before["postgres"]
    assert web.crashes == []


def test_page__postgres_falls_silent_in_a_statement__gives_up_and_recovers(
    stage: Stage, case: Case, web: Web, cookie: str
) -> None:
    assert ask(web, "/admin/", cookie)[0] == 200
    before = rest.settled(web)
    with locked_sessions(stage), ThreadPoolExecutor(1) as pool:
        page = pool.submit(ask, web, "/admin/", cookie)
        while not waiting(stage):
            assert not page.done()
        with frozen(stage, case):
            status, _, body = page.result()
    assert (status, b"does not answer" in body) == (503, True)
    web.wait()
    assert ask(web, "/admin/", cookie)[0] == 200
    assert rest.settled(web)["threads"] <= before["threads"]
    assert web.crashes == []


def test_page__postgres_is_slow__ends_its_statement_in_the_server(
    stage: Stage, case: Case, web: Web, cookie: str
) -> None:
    with locked_sessions(stage):
        case.inject("lock")
        assert ask(web, "/admin/", cookie)[0] == 503
        assert waiting(stage) == 0
    assert ask(web, "/admin/", cookie)[0] == 200
