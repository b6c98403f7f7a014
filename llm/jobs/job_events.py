"""Tells watchers of jobs about each change: one query a second for all of a process."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress

import orjson
import structlog
from django.db import Error as DatabaseError

from llm.jobs.rendering import job_document
from llm.models import Job
from llm.models.job import OPEN
from valuecanvas.core.cancel import Background
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.errors import Unavailable
from valuecanvas.core.wait_timer import NEVER

log = structlog.get_logger("jobs")

EVERY_S = 1.0
# A comment is sent after this silence, so that proxies keep the connection.
SILENCE_S = 15.0
MOST_WATCHERS = 500
# Changes that a slow client has not read yet.
MOST_WAITING = 20


class JobEvents:
    """The events of one job, as parts of a stream; the last one is its end."""

    deadline = NEVER

    def __init__(self, watch: "JobWatch", job: Job) -> None:
        self.job_id = job.pk
        self.over = False
        self._watch = watch
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_WAITING)
        self._last = b""
        self.show(job)

    def show(self, job: Job) -> None:
        """Queue an event if the job has changed. The last one of a job that has ended."""
        document = orjson.dumps(job_document(job))
        if document == self._last:
            return
        self._last = document
        self._put(b"event: job\ndata: %b\n\n" % document)
        if job.state not in OPEN:
            self._put(None)

    def end(self) -> None:
        """End the stream; the client may connect again."""
        self._put(None)

    def _put(self, part: bytes | None) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(part)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self.over:
            raise StopAsyncIteration
        part: bytes | None = b": waiting\n\n"
        with suppress(TimeoutError):
            async with asyncio.timeout(SILENCE_S):
                part = await self._queue.get()
        if part is None:
            self.over = True
            return b""
        return part

    async def wait_until_unwanted(self) -> None:
        """Nobody else needs these events."""

    async def aclose(self) -> None:
        self.over = True
        self._watch.drop(self)


class JobWatch(Background):
    """The watchers of one process."""

    def __init__(self, db: DbThread) -> None:
        self._db = db
        self._events: set[JobEvents] = set()

    def add(self, job: Job) -> JobEvents:
        """Watch a job. Raises Unavailable if too many are watched."""
        if len(self._events) >= MOST_WATCHERS:
            raise Unavailable(
                "Too many streams of events are open here; ask for the job instead.",
                code="too_many_watchers",
                headers={"Retry-After": "5"},
            )
        events = JobEvents(self, job)
        self._events.add(events)
        return events

    def drop(self, events: JobEvents) -> None:
        """Watch it no more."""
        self._events.discard(events)

    def end_all(self) -> int:
        """End every stream; how many."""
        ending = list(self._events)
        for events in ending:
            events.end()
        return len(ending)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            ids = {one.job_id for one in self._events}
            if not ids:
                continue
            try:
                jobs = await self._db.run(_load, ids)
            except DatabaseError as error:
                log.warning("jobs.database", error=type(error).__name__)
                continue
            for events in list(self._events):
                if job := jobs.get(events.job_id):
                    events.show(job)
                else:
                    # It was deleted.
                    events.end()


def _load(ids: set[uuid.UUID]) -> dict[uuid.UUID, Job]:
    return Job.objects.defer("sealed", "history").in_bulk(ids)
