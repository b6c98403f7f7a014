"""The worker inside a Celery worker process: a step of Celery's start and stop."""

import asyncio
import concurrent.futures
import os
import threading
from contextlib import suppress
from typing import Any

import structlog
from celery import bootsteps
from django.apps import apps
from django.conf import settings

from llm.gateway import gateway_thread
from llm.jobs.worker.worker_loop import Worker
from valuecanvas.core.telemetry.metrics_server import start_metrics_server

log = structlog.get_logger("jobs")

AGAIN_S = 5.0
# After the grace, for writing what was interrupted.
SLACK_S = 10.0


class ProcessWorker:
    """The worker of this process, on its gateway thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._future: concurrent.futures.Future[None] | None = None
        self._stopping = False

    def start(self) -> None:
        """Begin to work, in the background."""
        self._stopping = False
        self._future = gateway_thread().submit(self._work())

    def ring(self) -> None:
        """Have it look for work; nothing in a process without a worker."""
        with self._lock:
            if self._worker is not None:
                self._worker.ring()

    def stop(self) -> None:
        """End it; jobs that take too long go back into the queue."""
        grace_s = settings.SHUTDOWN_STREAMS_S
        with self._lock:
            self._stopping = True
            if self._worker is not None:
                self._worker.stop(grace_s)
        if self._future is not None:
            with suppress(concurrent.futures.TimeoutError):
                self._future.result(timeout=grace_s + SLACK_S)
            self._future.cancel()

    async def _work(self) -> None:
        while not self._stopping:
            try:
                await self._run()
            except Exception:
                # A worker process without a worker would look alive.
                log.exception("jobs.worker_crashed")
                await asyncio.sleep(AGAIN_S)

    async def _run(self) -> None:
        worker = Worker(await gateway_thread().runtime())
        with self._lock:
            if self._stopping:
                return
            self._worker = worker
        try:
            await worker.run()
        finally:
            with self._lock:
                self._worker = None


def process_worker() -> ProcessWorker:
    """The process's worker; the app's configuration owns it."""
    # Typed as any app's configuration, which has no worker.
    found: ProcessWorker = apps.get_app_config("llm").process_worker  # type: ignore[attr-defined]
    return found


class JobsStep(bootsteps.StartStopStep):
    """Starts the worker after Celery's pool, and after beat, which forks."""

    requires = (
        "celery.worker.components:Pool",
        "celery.worker.components:Beat",
    )

    def start(self, parent: Any) -> None:
        # Where web processes share the machine they go first.
        os.nice(max(0, settings.JOBS_NICE - os.nice(0)))
        process_worker().start()
        if settings.WORKER_METRICS_PORT:
            start_metrics_server(settings.WORKER_METRICS_PORT)

    def stop(self, parent: Any) -> None:
        process_worker().stop()
