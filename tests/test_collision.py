"""The arranged collision: it ends when the one inside waits, whoever else waits for locks.

The databases of all workers of a run share one server, so somebody always waits there.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import psycopg
import pytest
from django.db import IntegrityError, connection

from flags.models import Flag
from tests.billing.sessions import connect
from tests.collision import PATIENCE, faster, waits_for_this

pytestmark = pytest.mark.django_db(transaction=True)
LOCK = "SELECT pg_advisory_lock(1)"
WAITS = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"


def wait_for_a_lock(pid: int) -> None:
    until = time.monotonic() + PATIENCE
    with connect() as watcher:
        while watcher.execute(WAITS, [pid]).fetchone() != (True,):
            assert time.monotonic() < until
            time.sleep(0.005)


@contextmanager
def strangers(database: str) -> Iterator[None]:
    """One of two sessions of this database waits for the other, until the block ends."""
    url = psycopg.conninfo.make_conninfo(_url(), dbname=database)
    with (
        psycopg.connect(url, autocommit=True) as holds,
        psycopg.connect(url, autocommit=True) as waits,
        ThreadPoolExecutor(1) as pool,
    ):
        holds.execute(LOCK)
        waiting = pool.submit(waits.execute, LOCK)
        wait_for_a_lock(waits.info.backend_pid)
        try:
            yield
        finally:
            holds.execute("SELECT pg_advisory_unlock(1)")
            waiting.result()


def _url() -> str:
    parameters = connection.get_connection_params()
    wanted = {name: parameters.get(name) for name in ("host", "port", "user", "password")}  # fmt: skip
    return psycopg.conninfo.make_conninfo(**wanted)


@pytest.mark.parametrize("database", ["postgres", ""], ids=["another", "the same"])
def test_collision__strangers_wait_for_locks__is_not_over(database: str) -> None:
    with (
        strangers(database or connection.settings_dict["NAME"]),
        connect() as inside,
    ):
        assert not waits_for_this(inside.info.backend_pid)


def test_faster__strangers_wait_meanwhile__collides_all_the_same() -> None:
    for number in range(5):
        name = f"flag-{number}"
        with (
            strangers("postgres"),
            faster(partial(Flag.objects.create, name=name)),
        ):
            assert not Flag.objects.filter(name=name).exists()
            with pytest.raises(IntegrityError):
                Flag.objects.create(name=name)
