"""Finds leaks: takes samples of the gateway's resources and judges their growth."""

from __future__ import annotations

import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import psycopg
import redis

from bench import measure
from bench.gateway import Started

# By name: unit, and the allowed growth from the first quarter after the warm-up to the
# last one.
TOLERANCES = {
    "memory": ("MB", 5.0),
    "descriptors": ("", 8.0),
    "tasks": ("", 8.0),
    "threads": ("", 1.0),
    "PostgreSQL connections": ("", 1.0),
    "Redis connections": ("", 1.0),
}
# The share of the samples that belongs to the warm-up.
WARM_UP = 0.2
SCRAPE_S = 5.0
Sample = dict[str, float]


@dataclass(frozen=True)
class Growth:
    """One resource over the run: its low value in the first and the last quarter."""

    name: str
    first: float
    last: float
    most: float

    @property
    def level(self) -> bool:
        return self.last - self.first <= TOLERANCES[self.name][1]

    def describe(self) -> str:
        unit, most = TOLERANCES[self.name]
        return (
            f"{'level' if self.level else 'GROWS'}: {self.name}: {self.first:.1f} -> "
            f"{self.last:.1f}{unit and f' {unit}'} (at most {most:g} more), "
            f"highest {self.most:.1f}"
        )


def judge(samples: Sequence[Sample]) -> list[Growth]:
    """Judge samples taken at even intervals, those of the warm-up included."""
    settled = samples[int(len(samples) * WARM_UP) :]
    quarter = max(1, len(settled) // 4)
    return [
        Growth(
            name,
            _low([one[name] for one in settled[:quarter]]),
            _low([one[name] for one in settled[-quarter:]]),
            max(one[name] for one in samples),
        )
        for name in TOLERANCES
    ]


def _low(values: list[float]) -> float:
    """The lowest tenth: bursts do not raise it, but leaks do."""
    return measure.percentile(values, 0.1)


class Watcher:
    """Takes samples of a gateway; its own connections are not counted."""

    def __init__(self, gateway: Started) -> None:
        self._gateway = gateway
        self._database = psycopg.connect(gateway.database_url, autocommit=True)
        self._store = redis.Redis.from_url(gateway.store_url)
        # Scrapes of /metrics without an answer in time: then the last count is used.
        self.missed = 0
        self._last_tasks = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
        self._store.close()

    def sample(self) -> Sample:
        pids = self._gateway.server.pids
        return {
            "memory": measure.resident_mb(pids),
            "descriptors": measure.descriptors(pids),
            "tasks": self._tasks(),
            "threads": measure.threads(pids),
            "PostgreSQL connections": self._postgres(),
            "Redis connections": self._redis(),
        }

    def count_reservations(self) -> int:
        """The number of open reservations."""
        return self._number("SELECT count(*) FROM billing_reservation")

    def _postgres(self) -> int:
        return self._number(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = "
            "'client backend' AND pid <> pg_backend_pid()"
        )

    def _number(self, statement: str) -> int:
        row = self._database.execute(statement).fetchone()
        return int(row[0]) if row else 0

    def _redis(self) -> int:
        found = self._store.info("clients")
        return int(found["connected_clients"]) - 1

    def _tasks(self) -> float:
        """The asyncio tasks of the worker that answers, which is one of several."""
        try:
            self._last_tasks = self._scrape_tasks()
        except OSError:
            self.missed += 1
        return self._last_tasks

    def _scrape_tasks(self) -> float:
        url = f"{self._gateway.server.url}/metrics"
        with urllib.request.urlopen(url, timeout=SCRAPE_S) as answer:  # noqa: S310
            for line in answer:
                if line.startswith(b"valuecanvas_asyncio_tasks "):
                    return float(line.split()[1])
        raise RuntimeError("the gateway's metrics do not have the number of tasks")
