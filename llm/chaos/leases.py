"""The faults that this process injects now: leases that end by themselves."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db.models import F
from django.db.models.functions import Now

from llm.chaos.chaos_windows import why_forbidden
from llm.chaos.plan import FaultPlan, read_plan
from llm.metrics import CHAOS_FAULTS
from llm.models.chaos import ChaosRun, RunState
from valuecanvas.core.cancel import Background
from valuecanvas.core.db.db_thread import DbThread

log = structlog.get_logger("llm.chaos")
# The metric counts those that are not logged.
LOGS_PER_S = 10


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to inject the faults of one run, until `until` by the monotonic clock."""

    run_id: uuid.UUID
    name: str
    plan: FaultPlan
    until: float
    # Of the breakers of its audience.
    scope: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scope", f"{self.name}:{self.run_id}")


class Leases:
    """The leases of this process. Each is over at its time without anybody's help."""

    def __init__(self) -> None:
        self._held: tuple[Lease, ...] = ()
        # When the first of them is over.
        self._soonest = 0.0
        self._changed = asyncio.Event()
        # Faults injected since they were last written, by run.
        self.injected: Counter[uuid.UUID] = Counter()
        self._log_from = 0.0
        self._logged = 0

    def live(self) -> tuple[Lease, ...]:
        """Those that are not over."""
        held = self._held
        if not held:
            return held
        now = time.monotonic()
        if now < self._soonest:
            return held
        return tuple(one for one in held if one.until > now)

    def put(self, leases: tuple[Lease, ...]) -> None:
        """Replace all leases; who waits for the end of one looks again."""
        _log_changes(self._held, leases)
        self._held = leases
        self._soonest = min((one.until for one in leases), default=0.0)
        self._changed.set()
        self._changed = asyncio.Event()

    def note(self, lease: Lease, **facts: str) -> None:
        """Count a fault that is injected, and log it if not too many were just now."""
        self.injected[lease.run_id] += 1
        CHAOS_FAULTS.labels(lease.name, str(lease.plan.fault)).inc()
        now = time.monotonic()
        if now - self._log_from >= 1:
            self._log_from, self._logged = now, 0
        if self._logged < LOGS_PER_S:
            self._logged += 1
            log.warning(
                "chaos.injected",
                experiment=lease.name,
                run=str(lease.run_id),
                fault=str(lease.plan.fault),
                **facts,
            )

    async def wait(self, lease: Lease, seconds: float) -> None:
        """Wait so long, or until the run of `lease` has no lease any more."""
        end = time.monotonic() + seconds
        while True:
            left = min(end, self._until(lease.run_id)) - time.monotonic()
            if left <= 0:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()

    def _until(self, run_id: uuid.UUID) -> float:
        return max((one.until for one in self._held if one.run_id == run_id), default=0)


class LeaseWatch(Background):
    """Reads which runs may inject faults, and writes how many were injected."""

    def __init__(self, db: DbThread, leases: Leases) -> None:
        self._db = db
        self._leases = leases

    async def stop(self) -> None:
        await super().stop()
        self._leases.put(())
        await self._write_counts()

    async def _run(self) -> None:
        while True:
            await self._read()
            await self._write_counts()
            await asyncio.sleep(settings.CHAOS_POLL_S)

    async def _read(self) -> None:
        """Without the database those that are known run out."""
        try:
            self._leases.put(await self._db.run(read_leases))
        except DatabaseError as error:
            log.warning("chaos.leases_unread", error=type(error).__name__)
            if Path(settings.CHAOS_STOP_FILE).exists():
                self._leases.put(())

    async def _write_counts(self) -> None:
        counts, self._leases.injected = self._leases.injected, Counter()
        if not counts:
            return
        try:
            await self._db.run(add_counts, counts)
        except DatabaseError:
            self._leases.injected.update(counts)


def _log_changes(before: tuple[Lease, ...], after: tuple[Lease, ...]) -> None:
    known, held = {one.run_id for one in before}, {one.run_id for one in after}
    for one in after:
        if one.run_id not in known:
            log.warning("chaos.lease_began", experiment=one.name, run=str(one.run_id))
    for one in before:
        if one.run_id not in held:
            log.warning("chaos.lease_ended", experiment=one.name, run=str(one.run_id))


def read_leases() -> tuple[Lease, ...]:
    """The leases of the runs that may inject faults now. Raises database errors."""
    if why_forbidden():
        return ()
    # Before the query: no lease is longer than the database's clock says.
    now = time.monotonic()
    live = ChaosRun.objects.filter(
        state=RunState.RUNNING, lease_until__gt=Now(), ends_at__gt=Now()
    )
    runs = live.annotate(clock=Now()).order_by("started_at")
    return tuple(lease for run in runs if (lease := _lease(run, now)) is not None)


def _lease(run: Any, now: float) -> Lease | None:
    """The lease of a run, read at `now`; None for a plan that this release cannot read."""
    left = min(run.lease_until, run.ends_at) - run.clock
    try:
        plan = read_plan(run.plan)
    except (KeyError, TypeError, ValueError) as error:
        log.error("chaos.plan_unread", run=str(run.pk), error=type(error).__name__)
        return None
    return Lease(run.pk, run.name, plan, now + left.total_seconds())


def add_counts(counts: Mapping[uuid.UUID, int]) -> None:
    """Add faults that were injected to the rows of their runs. Raises database errors."""
    for run_id, count in counts.items():
        ChaosRun.objects.filter(pk=run_id).update(injected=F("injected") + count)
