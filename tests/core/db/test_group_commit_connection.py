"""The group commit's connection: kept where a row is at fault, given up where it is broken."""

import asyncio
import select
from collections.abc import Sequence

import psycopg
import pytest

from tests.billing.sessions import end_session
from tests.core.db.test_group_commit_group import Desk
from valuecanvas.core.db.group_commit import BatchUnavailable, GroupCommit
from valuecanvas.core.postgresql.session_end import has_ended

NAMES = [f"keep-{number}" for number in range(40)]


@pytest.mark.parametrize("wrong", ["bad", "odd", "keep~1"])
async def test_batch__one_of_many_is_at_fault__is_split_on_the_same_connection(
    db: None, wrong: str
) -> None:
    desk = Desk()
    group = GroupCommit(desk.policy(size=64))
    desk.go.clear()
    first = group.submit("keep-first")
    await asyncio.to_thread(desk.busy.wait)
    waiting = [group.submit(name) for name in (*NAMES, wrong)]
    desk.go.set()
    answers = await asyncio.gather(first, *waiting, return_exceptions=True)
    assert answers[:-1] == ["KEEP-FIRST", *map(str.upper, NAMES)]
    assert answers[-1] == "KEEP1" or isinstance(answers[-1], Exception)
    assert len(desk.batches) > 5
    [connection] = desk.connections
    # Nothing is left of what failed: no lock, no transaction.
    idle = psycopg.pq.TransactionStatus.IDLE
    assert connection.info.transaction_status is idle
    await asyncio.to_thread(group.close)


class Breaking(Desk):
    """Fails its first work by `error`, `closed`: the connection is lost by then."""

    error: Exception = psycopg.OperationalError("lost")
    closed = False

    def work(
        self, connection: psycopg.Connection, items: Sequence[str]
    ) -> Sequence[object]:
        if connection is self.connections[0]:
            if self.closed:
                connection.pgconn.finish()
            raise self.error
        return super().work(connection, items)


@pytest.mark.parametrize(
    ("error", "closed"),
    [
        (psycopg.errors.UniqueViolation("said"), True),
        (psycopg.errors.ReadOnlySqlTransaction("said"), False),
        (psycopg.errors.InvalidSqlStatementName("said"), False),
        (psycopg.OperationalError("lost"), False),
        (LookupError("odd"), True),
    ],
)
async def test_batch__connection_is_broken_or_may_be__the_next_has_another(
    db: None, error: Exception, closed: bool
) -> None:
    desk = Breaking()
    desk.error, desk.closed = error, closed
    group = GroupCommit(desk.policy())
    with pytest.raises((type(error), BatchUnavailable)):
        await group.submit("free-a")
    assert await group.submit("free-b") == "FREE-B"
    assert len(desk.connections) == 2
    await asyncio.to_thread(group.close)
    assert all(one.closed for one in desk.connections)


async def test_batch__server_ended_the_session_meanwhile__is_committed(
    db: None,
) -> None:
    desk = Desk()
    group = GroupCommit(desk.policy())
    assert await group.submit("free-a") == "FREE-A"
    pid = desk.connections[0].info.backend_pid
    await asyncio.to_thread(end_session, pid)
    assert await group.submit("free-b") == "FREE-B"
    assert len(desk.connections) == 2
    await asyncio.to_thread(group.close)


def test_session__server_said_something__goes_on(db: None) -> None:
    desk = Desk()
    session, other = desk.policy().connect(), desk.policy().connect()
    session.execute("LISTEN something")
    session.commit()
    other.execute("NOTIFY something")
    other.commit()
    while not select.select([session.pgconn.socket], [], [], 1)[0]:
        pass
    assert not has_ended(session)
    end_session(session.info.backend_pid)
    assert has_ended(session)
    assert has_ended(session)
    other.close()
    assert has_ended(other)
