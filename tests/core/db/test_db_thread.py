"""One thread, one connection, in order."""

import asyncio
import threading
from typing import Any

import pytest
from django.db import connection

from tests.billing.sessions import end_session
from valuecanvas.core.db.db_thread import DbThread

pytestmark = pytest.mark.django_db(transaction=True)


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


async def test_run__several_jobs__share_one_connection_in_order() -> None:
    thread = DbThread()
    done: list[int] = []
    pids = await asyncio.gather(*(thread.run(backend) for _ in range(3)))
    assert len(set(pids)) == 1
    await asyncio.gather(*(thread.run(done.append, n) for n in range(5)))
    assert done == [*range(5)]
    thread.close()


async def test_run__server_ended_the_session_meanwhile__has_another() -> None:
    thread = DbThread()
    await asyncio.to_thread(end_session, ended := await thread.run(backend))
    assert await thread.run(backend) != ended
    thread.close()


async def test_run__job_that_fails__raises_where_it_was_asked_for() -> None:
    thread = DbThread()

    def fail(*, status: int) -> None:
        raise SystemExit(status)

    with pytest.raises(SystemExit):
        await thread.run(fail, status=3)
    assert await thread.run(sum, [1, 2]) == 3
    thread.close()


async def test_run__asker_gone__goes_on_with_the_next() -> None:
    thread, go = DbThread(), threading.Event()
    jobs = [asyncio.ensure_future(thread.run(go.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    jobs[0].cancel()
    go.set()
    assert await jobs[1] is True
    assert jobs[0].cancelled()
    thread.close()


def test_run__loop_closed_before_the_answer__drops_it() -> None:
    thread, go = DbThread(), threading.Event()

    async def ask() -> None:
        asking: Any = asyncio.ensure_future(thread.run(go.wait))
        await asyncio.sleep(0)
        asking.cancel()

    asyncio.run(ask())
    go.set()
    thread.close()
