"""Controls the runs of experiments: one of the gateway's processes at a time."""

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Any

import structlog
from django.db import Error as DatabaseError
from django.db import connection

from llm.chaos import chaos_runs, chaos_schedules, supervision
from llm.models import ChaosExperiment
from valuecanvas.core.audit.audit_context import ActorKind, use_actor
from valuecanvas.core.cancel import Background
from valuecanvas.core.db.db_thread import DbThread

log = structlog.get_logger("llm.chaos")
EVERY_S = 1.0
# The session keeps the lock until its connection ends, with its process at the latest:
# it may be taken again and again.
_LOCK = """
SELECT pg_try_advisory_lock(hashtextextended('llm.chaos.controller', 0)), clock_timestamp()
"""


class Controller(Background):
    """Looks after schedules and runs each second, on a connection of its own."""

    def __init__(self) -> None:
        self._db = DbThread()

    async def stop(self) -> None:
        await super().stop()
        # Its connection ends, and so another process takes over.
        self._db.close()

    async def _run(self) -> None:
        while True:
            try:
                await self._db.run(control)
            except DatabaseError as error:
                log.warning("chaos.uncontrolled", error=type(error).__name__)
            await asyncio.sleep(EVERY_S)


def control() -> bool:
    """Do what is due now, if no other process does. Raises DatabaseError."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK)
        is_ours, now = cursor.fetchone()
    if not is_ours:
        return False
    with use_actor("chaos controller", ActorKind.SYSTEM):
        for run in chaos_runs.active():
            _guard(str(run.pk), supervision.advance, run, now)
        for experiment in chaos_schedules.find_scheduled():
            _guard(experiment.name, _start_due, experiment, now)
    return True


def _guard(name: str, act: Callable[..., None], *args: Any) -> None:
    """Do one thing, so that the others are done whatever becomes of it."""
    try:
        act(*args)
    except DatabaseError:
        raise
    except Exception as error:  # noqa: BLE001 - logged; a run's lease then ends by itself
        log.error("chaos.uncontrolled", of=name, error=repr(error)[:300])


def _start_due(experiment: ChaosExperiment, now: dt.datetime) -> None:
    """Start an experiment whose time has come, for who made it."""
    if not chaos_schedules.is_due(
        experiment, chaos_schedules.last_run(experiment), now
    ):
        return
    by = experiment.created_by
    try:
        chaos_runs.start(experiment, by=by, reason="By its schedule")
    except chaos_runs.RunRefused as refusal:
        name, why = experiment.name, str(refusal)
        chaos_runs.record_refusal(name, why, by=by, experiment=experiment)
