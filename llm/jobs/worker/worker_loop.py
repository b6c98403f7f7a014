"""The worker: claims jobs from the database and runs some of them at once.

One per Celery worker process, on its gateway thread. It looks for work when the doorbell
rings, when a job has ended, and every few seconds.
"""

import asyncio
import os
import socket
import time
import uuid
from dataclasses import dataclass, field

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.utils import timezone

from llm.jobs import batches
from llm.jobs.worker import queue
from llm.jobs.worker.execution import JobAttempt, requeue, run_attempt
from llm.jobs.worker.pace import BatchPace
from llm.jobs.worker.queue import End, Room
from llm.models import Job, JobWorker
from llm.runtime import Runtime
from llm.types import CLIENT_GONE
from valuecanvas.core.ids import uuid7

log = structlog.get_logger("jobs")

# It looks for work this often without a doorbell, and renews its leases this often. What
# was cancelled ends at the next renewal.
LOOK_S, RENEW_S = 5.0, 2.0
# Ends of jobs are gathered this long.
LINGER_S = 0.02
# After the database failed, it waits this long.
PAUSE_S = 1.0


@dataclass(slots=True)
class Load:
    """The processor time that this process took since it was last asked."""

    wall: float = field(default_factory=time.monotonic)
    used: float = field(default_factory=time.process_time)

    def read(self) -> float:
        """Percent of one core."""
        wall, used = time.monotonic(), time.process_time()
        share = (used - self.used) / max(wall - self.wall, 0.001)
        self.wall, self.used = wall, used
        return round(100 * share, 1)


class Worker:
    """Runs jobs from `run` until `stop`; both are called on its event loop."""

    def __init__(self, gateway: Runtime, slots: int | None = None) -> None:
        self.id = uuid7()
        self._gateway = gateway
        self._slots = slots or settings.JOBS_CONCURRENCY
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._running: dict[uuid.UUID, asyncio.Task[None]] = {}
        # The running job whose last worker died.
        self._suspect: uuid.UUID | None = None
        self._ended: list[End] = []
        self._pace = BatchPace(settings.JOBS_BATCH_RATE)
        self._batches: set[uuid.UUID] = set()
        # Requests that were interrupted, and their jobs, until their bill is known.
        self._unpaid: dict[uuid.UUID, uuid.UUID] = {}
        self._stopping = False
        self._rung = True
        self._done = 0
        self._load = Load()
        self._started_at = timezone.now()

    def ring(self) -> None:
        """Look for work now. From any thread."""
        self._loop.call_soon_threadsafe(self._note_ring)

    def stop(self, grace_s: float) -> None:
        """Claim no more, and return from `run` once the running jobs have ended.

        Those that take longer than `grace_s` go back into the queue. From any thread.
        """
        self._loop.call_soon_threadsafe(self._note_stop, grace_s)

    async def run(self) -> None:
        """Work until `stop`."""
        renewal = asyncio.create_task(self._renew_always())
        try:
            while not self._stopping or self._running or self._ended:
                await self._wait()
                await self._take_turn()
        finally:
            renewal.cancel()
            self._interrupt()
            await self._leave()

    def _note_ring(self) -> None:
        self._rung = True
        self._wake.set()

    def _note_stop(self, grace_s: float) -> None:
        self._stopping = True
        self._wake.set()
        self._loop.call_later(grace_s, self._interrupt)

    def _interrupt(self) -> None:
        for task in self._running.values():
            task.cancel()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(LOOK_S):
                await self._wake.wait()
        except TimeoutError:
            self._rung = True
        self._wake.clear()
        if not self._stopping:
            # Jobs that end together are written together.
            await asyncio.sleep(LINGER_S)

    async def _take_turn(self) -> None:
        """Write what ended, and start new jobs in the free slots."""
        ends, self._ended = self._ended, []
        room = self._room() if self._rung or ends else Room(0)
        if not (ends or room.most):
            return
        self._rung = False
        try:
            turn = await self._gateway.jobs_db.run(queue.exchange, self.id, ends, room)
        except DatabaseError as error:
            # The answers are kept, and written once the database is back.
            log.warning("jobs.database", error=type(error).__name__)
            self._ended = ends + self._ended
            await asyncio.sleep(PAUSE_S)
            self._note_ring()
            return
        self._done += len(ends)
        self._batches |= turn.batches
        self._take_pace(sum(job.batch_id is not None for job in turn.claimed))
        for job in turn.claimed:
            task = asyncio.create_task(self._work(job))
            self._running[job.pk] = task
            if job.losses:
                self._suspect = job.pk
        if turn.claimed and len(turn.claimed) == room.most:
            # There may be more than there were slots.
            self._rung = True

    def _room(self) -> Room:
        """What it has room for now."""
        if self._stopping:
            return Room(0)
        free = self._slots - len(self._running)
        return Room(
            most=free,
            suspects=0 if self._suspect else 1,
            lines=self._pace.is_free(time.monotonic()),
        )

    def _take_pace(self, lines: int) -> None:
        """Look again once further lines may begin."""
        if lines:
            wait = self._pace.take(lines, time.monotonic())
            self._loop.call_later(wait, self._note_ring)

    async def _work(self, job: Job) -> None:
        attempt = JobAttempt(job)
        try:
            # Not in one: `_ended` may be another list once that has been awaited.
            end = await run_attempt(self._gateway, attempt)
            self._ended.append(end)
        except asyncio.CancelledError:
            # If its owner cancelled it, or another worker has it, this changes nothing.
            self._ended.append(requeue(attempt))
            self._unpaid[attempt.id] = job.pk
        finally:
            del self._running[job.pk]
            if self._suspect == job.pk:
                self._suspect = None
            self._wake.set()

    async def _renew_always(self) -> None:
        while True:
            try:
                await self._renew()
            except DatabaseError as error:
                log.warning("jobs.database", error=type(error).__name__)
            except Exception:
                # Without its leases each job would be run again by another worker.
                log.exception("jobs.renewal_crashed")
            await asyncio.sleep(RENEW_S)

    async def _renew(self) -> None:
        """Renew the leases, end what was cancelled, and make further jobs due."""
        db = self._gateway.jobs_db
        running = set(self._running)
        unwritten = {one.job.pk for one in self._ended}
        owned = await db.run(queue.renew, self.id, running | unwritten)
        await self._end_lost(running - owned)
        await self._end_unwanted()
        await db.run(self._write_row)
        self._pace.beside_others = await db.run(queue.has_interactive_requests)
        if not self._stopping and await db.run(queue.feed) > 0:
            self._note_ring()
        if self._unpaid:
            await self._add_costs()
        if self._batches:
            changed, self._batches = self._batches, set()
            await db.run(batches.refresh, changed)

    async def _end_lost(self, lost: set[uuid.UUID]) -> None:
        """End jobs that were cancelled: what was sent is billed, as when a client leaves.

        Of jobs that another worker has by now nothing is billed here.
        """
        if not lost:
            return
        cancelled = await self._gateway.jobs_db.run(queue.find_cancelled, lost)
        for job_id in lost:
            if task := self._running.get(job_id):
                task.cancel(CLIENT_GONE if job_id in cancelled else None)

    async def _end_unwanted(self) -> None:
        """End lines of cancelled batches: they are queued again, and so cancelled."""
        running = set(self._running)
        for job_id in await self._gateway.jobs_db.run(batches.find_unwanted, running):
            if task := self._running.get(job_id):
                task.cancel(CLIENT_GONE)

    async def _add_costs(self) -> None:
        """Add what interrupted requests cost to their jobs, once they are settled."""
        unpaid = dict(self._unpaid)
        settled = await self._gateway.jobs_db.run(queue.add_costs, unpaid)
        for request_id in settled:
            del self._unpaid[request_id]

    def _write_row(self) -> None:
        """Tell the operators about this worker."""
        figures = {
            "running": len(self._running),
            "done": self._done,
            "cpu": self._load.read(),
            "seen_at": timezone.now(),
        }
        fixed = {
            "host": socket.gethostname()[:255],
            "pid": os.getpid(),
            "slots": self._slots,
            "started_at": self._started_at,
        }
        JobWorker.objects.update_or_create(
            pk=self.id, defaults=figures, create_defaults={**figures, **fixed}
        )

    async def _leave(self) -> None:
        """The last acts: the counts of its batches, and its row."""
        try:
            await self._gateway.jobs_db.run(batches.refresh, self._batches)
            await self._gateway.jobs_db.run(JobWorker.objects.filter(pk=self.id).delete)
        except DatabaseError as error:
            log.warning("jobs.database", error=type(error).__name__)
