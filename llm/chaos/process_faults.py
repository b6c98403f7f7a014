"""Faults that happen once in a run: sessions of the database end, or a worker does."""

import asyncio
import os
import socket
import uuid
from collections.abc import Callable, Mapping

import structlog
from django.db import Error as DatabaseError
from django.db import connection

from llm.chaos.leases import Lease, Leases
from llm.models.chaos import ChaosRun, FaultKind, RunState
from valuecanvas.core.cancel import Background
from valuecanvas.core.db.db_thread import DbThread

log = structlog.get_logger("chaos")

EVERY_S = 0.25
# As of a process that was killed by SIGKILL.
KILLED = 137
# What an ordinary role may do: it ends the sessions of its own role alone.
END_SESSIONS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user
  AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


class ProcessFaults(Background):
    """Carries out the faults of leases that are no call's. Made only if CHAOS_ENABLED."""

    def __init__(self, leases: Leases, db: DbThread) -> None:
        self._leases = leases
        self._db = db
        self._done: set[uuid.UUID] = set()

    async def _run(self) -> None:
        while True:
            for lease in self._leases.live():
                if lease.plan.fault in ACTS and lease.run_id not in self._done:
                    await self._carry_out(lease)
            await asyncio.sleep(EVERY_S)

    async def _carry_out(self, lease: Lease) -> None:
        try:
            await self._db.run(ACTS[lease.plan.fault], lease)
        except DatabaseError as error:
            # Another process ended this session, or the database is really away.
            log.warning("chaos.not_injected", error=type(error).__name__)
        else:
            self._done.add(lease.run_id)


def end_sessions(lease: Lease) -> None:
    """End all other sessions of our role in our database, as a restart does."""
    if _claim(lease):
        with connection.cursor() as cursor:
            cursor.execute(END_SESSIONS)
            [ended] = cursor.fetchone() or (0,)
        log.warning("chaos.sessions_ended", run=str(lease.run_id), count=ended)


def exit_worker(lease: Lease) -> None:
    """End this process at once, without any of its last acts, if it is the one named."""
    if lease.plan.parameters["worker"] == here() and _claim(lease):
        log.warning("chaos.worker_exits", run=str(lease.run_id))
        os._exit(KILLED)


ACTS: Mapping[str, Callable[[Lease], None]] = {
    FaultKind.DATABASE_RESTART: end_sessions,
    FaultKind.WORKER_EXIT: exit_worker,
}


def here() -> str:
    """This process as rows of workers name it."""
    return f"{socket.gethostname()[:255]}:{os.getpid()}"


def _claim(lease: Lease) -> bool:
    """Whether this process is the one that carries it out: the first that comes."""
    rows = ChaosRun.objects.filter(pk=lease.run_id, state=RunState.RUNNING, injected=0)
    return rows.update(injected=1) == 1
