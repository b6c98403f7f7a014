"""Adds up the metrics of the processes that share one port.

A scrape reaches one of them. Each writes its own to a file: when it is scraped, so that
no sum ever falls, and every few seconds. The mapped files of prometheus_client would
cost each request some 30 µs and know no exemplars.
"""

import asyncio
import fcntl
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import structlog
from prometheus_client import REGISTRY, Metric
from prometheus_client.samples import Exemplar, Sample

from valuecanvas.core.cancel import Background
from valuecanvas.core.file_lock import is_held
from valuecanvas.core.telemetry.database_metrics import DatabaseMetrics, scrape

log = structlog.get_logger("metrics")
EVERY_S = 5.0
# A folder that nobody wrote to for so long belongs to a server that is gone.
UNUSED_S = 86_400.0
DEAD = "dead"
# Gauges of which the sum says nothing: the least or the largest of all processes counts.
LEAST = frozenset(
    {
        "process_start_time_seconds",
        "valuecanvas_config_epoch",
        "valuecanvas_config_loaded_timestamp_seconds",
        "valuecanvas_flags_loaded_timestamp_seconds",
        "valuecanvas_redis_up",
    }
)
LARGEST = frozenset(
    {
        "process_max_fds",
        "python_info",
        "valuecanvas_breaker_state",
        "valuecanvas_config_age_seconds",
        "valuecanvas_flags_age_seconds",
    }
)
# Samples of counters and histograms end so, and no gauge.
COUNTS = ("_total", "_bucket", "_count", "_sum")
# The samples of a process by metric: (name, labels, value, exemplar).
Samples = dict[str, list[list[Any]]]


class ProcessMetrics(Background):
    """This process's file among those of the server in `folder`. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        _remove_unused(folder)
        self._folder = folder / f"{socket.gethostname()}-{os.getppid()}"
        self._folder.mkdir(parents=True, exist_ok=True)
        # No process number: it comes again, after a restart with the same folder.
        self._name = uuid.uuid4().hex
        with self._alone():
            self._held = _lock(self._path(self._name, "lock"))

    def exchange(self, metrics: Iterable[Metric]) -> list[Samples]:
        """Write these metrics of this process; returns those of the others."""
        found = {
            one.name: [_row(sample) for sample in one.samples]
            for one in metrics
            if one.name not in DatabaseMetrics.names
        }
        with self._alone():
            self._write(self._name, found)
            return self._read_others()

    def close(self) -> None:
        """End: the others go on with what was counted here."""
        self.exchange(_own_metrics())
        os.close(self._held)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await asyncio.to_thread(self.exchange, list(_own_metrics()))
            except OSError as error:
                log.warning("metrics.not_written", error=str(error))

    def _read_others(self) -> list[Samples]:
        found = []
        dead = self._read(DEAD)
        for path in self._folder.glob("*.lock"):
            if path.stem in (self._name, "folder"):
                continue
            samples = self._read(path.stem)
            if is_held(path):
                found.append(samples)
            else:
                _bury(dead, samples)
                self._write(DEAD, dead)
                self._path(path.stem, "json").unlink(missing_ok=True)
                path.unlink()
        return [*found, dead]

    def _path(self, name: str, kind: str) -> Path:
        return self._folder / f"{name}.{kind}"

    def _read(self, name: str) -> Samples:
        with suppress(FileNotFoundError):
            return dict(orjson.loads(self._path(name, "json").read_bytes()))
        return {}

    def _write(self, name: str, samples: Samples) -> None:
        path = self._path(name, "new")
        path.write_bytes(orjson.dumps(samples))
        path.replace(self._path(name, "json"))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        fd = _lock(self._path("folder", "lock"))
        try:
            yield
        finally:
            os.close(fd)


def add_up(metric: Metric, others: Iterable[Samples]) -> Metric:
    """`metric` with the values of the other processes."""
    found = {(one.name, *one.labels.values()): one for one in metric.samples}
    for samples in others:
        for name, labels, value, exemplar in samples.get(metric.name, ()):
            key = (name, *labels.values())
            shown = Exemplar(*exemplar) if exemplar else None
            own = found.get(key)
            if own is None:
                found[key] = Sample(name, labels, value, None, shown)
            else:
                value = _combine(metric.name, own.value, value)
                shown = own.exemplar or shown
                found[key] = own._replace(value=value, exemplar=shown)
    metric.samples = list(found.values())
    return metric


def _row(sample: Sample) -> list[Any]:
    exemplar = list(sample.exemplar) if sample.exemplar else None
    return [sample.name, sample.labels, sample.value, exemplar]


def _combine(metric: str, one: float, other: float) -> float:
    if metric in LEAST:
        return min(one, other)
    return max(one, other) if metric in LARGEST else one + other


def _own_metrics() -> Iterator[Metric]:
    with scrape(database=False):
        yield from REGISTRY.collect()


def _bury(dead: Samples, samples: Samples) -> None:
    """Add the counts of a process that has ended to those of others: they never fall."""
    for name, rows in samples.items():
        into = {(row[0], *row[1].values()): row for row in dead.get(name, ())}
        for row in rows:
            before = into.get((row[0], *row[1].values()))
            if before is not None:
                before[2] += row[2]
            elif row[0].endswith(COUNTS):
                dead.setdefault(name, []).append(row)


def _lock(path: Path) -> int:
    """Open and lock a file; it is free once it is closed, or the process has died."""
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def _remove_unused(folder: Path) -> None:
    for one in folder.glob("*-*"):
        if one.stat().st_mtime < time.time() - UNUSED_S:
            shutil.rmtree(one, ignore_errors=True)
