"""What visitors of the cold path may take, on a gateway as production runs it."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import psutil
import psycopg
import pytest

from tests.live.server import LiveServer, database_url, live_server
from tests.live.world import World
from valuecanvas.core.access import session_store

pytestmark = pytest.mark.live

T = TypeVar("T")
PATIENCE_S = 120.0
PATHS = ["/admin/login/", "/api/prompts", "/api/docs", "/nothing"]
# One visitor has half of the slots.
SLOTS, WAITING, VISITORS = 6, 5, 300
RUNNING = SLOTS // 2
# Of a session that has ended: only for keys of its own the site asks the database.
COOKIE = f"sessionid={session_store.add_proof('a' * 32, login=True)}"
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@contextmanager
def connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port)) as made:
        made.settimeout(PATIENCE_S)
        yield made


def head(path: str, *lines: bytes) -> bytes:
    first = b"POST %s HTTP/1.1" % path.encode()
    return b"\r\n".join([first, b"Host: localhost", *lines, b"", b""])


def everything(line: socket.socket) -> bytes:
    """All that comes until the gateway closes."""
    found = b""
    while part := line.recv(65_536):
        found += part
    return found


def statuses(raw: bytes) -> list[int]:
    return [int(one) for one in STATUS.findall(raw)]


def eventually(look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, "That did not happen."
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("path", PATHS)
def test_body__too_large_by_its_head__is_413_before_any_of_it_came(
    world: World, path: str
) -> None:
    with connection(world.port) as line:
        line.sendall(head(path, b"Content-Length: 300000000"))
        # It is closed too: more than the time for a body is not waited.
        assert statuses(everything(line)) == [413]


@pytest.mark.parametrize("path", PATHS)
def test_body__too_large_in_chunks__is_413_before_its_end(
    world: World, path: str
) -> None:
    with connection(world.port) as line:
        line.sendall(head(path, b"Transfer-Encoding: chunked"))
        line.sendall((b"10000\r\n" + b"a" * 65_536 + b"\r\n") * 17)
        assert statuses(everything(line)) == [413]


@pytest.mark.parametrize("path", PATHS)
def test_body__slow__is_408_once_its_time_is_up(world: World, path: str) -> None:
    with connection(world.port) as line:
        line.sendall(head(path, b"Content-Length: 1000") + b"a")
        assert statuses(everything(line)) == [408]


def test_body__largest_allowed__is_read_whole(world: World) -> None:
    answer = world.request("/api/prompts", b" " * 1_048_576)
    assert (answer.status, answer.error["code"]) == (403, "missing_scope")


@pytest.fixture
def small(server_env: dict[str, str], tmp_path: Path) -> Iterator[LiveServer]:
    """A gateway that works on few pages at once."""
    env = {
        **server_env,
        "PAGE_MAX_RUNNING": str(SLOTS),
        "PAGE_MAX_WAITING": str(WAITING),
        "DB_PAGE_TIMEOUT_S": "600",
        "LLM_HEADER_TIMEOUT_S": "120",
    }
    with live_server(tmp_path, env) as running:
        yield running


def visit(port: int) -> socket.socket:
    """Ask for a page for which Django looks at the sessions in the database."""
    line = socket.create_connection(("127.0.0.1", port))
    line.sendall(
        b"GET /admin/ HTTP/1.1\r\nHost: localhost\r\nCookie: %s\r\n"
        b"Connection: close\r\n\r\n" % COOKIE.encode()
    )
    line.setblocking(False)
    return line


class Visitors:
    """Many of them, and what each was answered."""

    def __init__(self, port: int, count: int, stack: ExitStack) -> None:
        self._lines = [stack.enter_context(visit(port)) for _ in range(count)]
        self._heard = [b""] * count

    def answers(self) -> list[int]:
        for index, line in enumerate(self._lines):
            try:
                self._heard[index] += line.recv(65_536)
            except BlockingIOError:
                continue
        return [status for raw in self._heard for status in statuses(raw)]


def lock_sessions(stack: ExitStack) -> psycopg.Connection:
    """Pages that look at the sessions in the database hang from now on."""
    lock = stack.enter_context(psycopg.connect(database_url()))
    lock.execute("lock table django_session in access exclusive mode")
    return lock


def waiting(one: psycopg.Connection) -> int:
    """How many connections wait for a lock in this database."""
    return count(one, "and wait_event_type = 'Lock'")


def count(one: psycopg.Connection, more: str = "") -> int:
    query = "select count(*) from pg_stat_activity where datname = current_database() "
    return int(one.execute(query + more).fetchone()[0])  # type: ignore[index]


def test_visitors__hundreds_of_hanging_pages__leave_callers_alone(
    world: World, small: LiveServer
) -> None:
    world.port = small.port
    served = world.serve("ok")
    process = psutil.Process(small.process.pid)
    assert world.chat(served.model).status == 200
    assert world.request("/admin/login/").status == 200
    threads = process.num_threads()
    with ExitStack() as stack:
        watch = stack.enter_context(psycopg.connect(database_url(), autocommit=True))
        before = count(watch)
        lock = lock_sessions(stack)
        visitors = Visitors(small.port, VISITORS, stack)
        refused = [503] * (VISITORS - RUNNING - WAITING)
        eventually(lambda: visitors.answers() == refused)
        eventually(lambda: waiting(watch) == RUNNING)
        for _ in range(20):
            assert world.chat(served.model).status == 200
        for path in ("/health/live", "/health/ready", "/metrics", "/api/llm/health"):
            assert (path, world.request(path, key="").status) == (path, 200)
        # The lock's own connection, and those that wait for it.
        assert count(watch) <= before + 1 + RUNNING
        assert process.num_threads() <= threads + 2 * RUNNING
        lock.rollback()
        after = eventually(lambda: len(visitors.answers()) == VISITORS)
        assert after
        assert sorted(set(visitors.answers())) == [302, 503]


def test_visitors__who_leave__give_no_seat_to_others_while_their_page_runs(
    world: World, small: LiveServer
) -> None:
    with ExitStack() as stack:
        watch = stack.enter_context(psycopg.connect(database_url(), autocommit=True))
        lock_sessions(stack)
        for _ in range(RUNNING):
            stack.enter_context(visit(small.port))
        eventually(lambda: waiting(watch) == RUNNING)
        with ExitStack() as leaving:
            for _ in range(WAITING):
                leaving.enter_context(visit(small.port))
        visitors = Visitors(small.port, 20, stack)
        eventually(lambda: 503 in visitors.answers())
        assert waiting(watch) == RUNNING


@pytest.fixture
def flood(small: LiveServer) -> Iterator[Visitors]:
    """Fifty pages of one session, which hang."""
    with ExitStack() as stack:
        lock_sessions(stack)
        visitors = Visitors(small.port, 50, stack)
        eventually(lambda: len(visitors.answers()) == 50 - RUNNING - WAITING)
        yield visitors


@pytest.mark.usefixtures("flood")
def test_refusal__of_a_page_or_a_call__says_when_to_come_again(
    world: World, small: LiveServer
) -> None:
    world.port = small.port
    answer = world.request("/api/prompts", key="", cookie=COOKIE)
    assert (answer.status, answer.error["code"]) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"
    page = world.request("/admin/login/", key="", cookie=COOKIE)
    assert (page.status, page.headers["retry-after"]) == (503, "1")
    assert b"busy" in page.body


def test_flood__of_one_session__leaves_others_their_turn(
    world: World, small: LiveServer, flood: Visitors
) -> None:
    world.port = small.port
    assert world.request("/admin/login/", key="").status == 200
    assert len(flood.answers()) == 50 - RUNNING - WAITING


def test_visitors__with_made_up_cookies__cost_no_query(
    world: World, small: LiveServer
) -> None:
    world.port = small.port
    with ExitStack() as stack:
        lock_sessions(stack)
        for number in range(20):
            cookie = f"sessionid={number:a<40}"
            answer = world.request("/admin/", key="", cookie=cookie)
            assert answer.status == 302
