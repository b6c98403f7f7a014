"""Simulates how far processes and one PostgreSQL carry: `python -m bench.scaling`.

Each request is two items of the ledger: an admission and a settlement. A process has one
connection, whose transaction takes what has queued up, at most BATCH_MAX items. All lock
the counter of everyone, so of all processes' transactions one at a time is past its lock.
The times come from this machine (bench/batches.py), the CPU of a request from the last
`make bench`.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import math
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import gateway, report, servers

PAGE = servers.ROOT / "docs" / "SCALING.md"
BEGIN, END = "<!-- scaling: begin -->", "<!-- scaling: end -->"
RATES = (100, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
ITEMS = 2
# Above this share of a core, waits grow; so more processes are started.
LOAD = 0.6
# CPU milliseconds of a miss: the process, and PostgreSQL (docs/PERFORMANCE.md).
CPU_MS, POSTGRES_CPU_MS = 0.54, 0.16
# Bytes of a request in the ledger with its indexes (docs/OPERATIONS.md).
ROW_BYTES = 900
BATCH_MAX = 200
SECONDS = 20.0
# Longest wait that is worth a name: past it requests are refused.
REFUSED_MS = 1800


@dataclass(frozen=True)
class Times:
    """A transaction of n items takes `base` + n * `each` milliseconds."""

    base: float
    each: float

    def of(self, items: int) -> float:
        return self.base + items * self.each


@dataclass(frozen=True)
class Outcome:
    """What a simulated load does: waits in milliseconds, and the mean batch."""

    p50: float
    p95: float
    batch: float


def fit(measured: Mapping[int, float]) -> Times:
    """The line through the measured (items, milliseconds), by least squares of ratios."""
    each = (measured[1000] - measured[50]) / (1000 - 50)
    return Times(max(0.05, measured[1]), each)


def processes(rate: float) -> int:
    """Web processes for `rate` requests a second, each on a core."""
    return max(2, math.ceil(rate * CPU_MS / 1000 / LOAD))


def simulate(
    rate: float, times: Times, *, databases: int = 1, batch_max: int = BATCH_MAX
) -> Outcome:
    """Items of `rate` requests a second through the lock of each of `databases`.

    The databases are alike, so one of them is simulated with its share.
    """
    arrivals = rate * ITEMS / databases
    count = max(2, math.ceil(processes(rate) / databases))
    chance = random.Random(1)
    queues: list[list[float]] = [[] for _ in range(count)]
    # When each process's connection is free, and the lock is.
    idle = [0.0] * count
    lock_free = 0.0
    waits: list[float] = []
    batches: list[int] = []
    ready: list[tuple[float, int]] = []
    now, end = 0.0, min(SECONDS, 400_000 / arrivals) * 1000
    while now < end:
        now += chance.expovariate(arrivals) * 1000
        while ready and ready[0][0] <= now:
            at, process = heapq.heappop(ready)
            taken = queues[process][:batch_max]
            del queues[process][:batch_max]
            # First come, first served at the lock.
            begun = max(at, lock_free)
            lock_free = begun + times.of(len(taken))
            idle[process] = lock_free
            waits += [lock_free - item for item in taken]
            batches.append(len(taken))
            if queues[process]:
                heapq.heappush(ready, (lock_free, process))
        process = chance.randrange(count)
        queues[process].append(now)
        if len(queues[process]) == 1:
            heapq.heappush(ready, (max(now, idle[process]), process))
    waits.sort()
    return Outcome(
        waits[len(waits) // 2], waits[len(waits) * 95 // 100], statistics.mean(batches)
    )


def databases_needed(rate: float, times: Times) -> int:
    """The fewest databases with which 95 % of the commits take under 50 ms."""
    for count in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128):
        if simulate(rate, times, databases=count).p95 < 50:
            return count
    # Past all that were tried.
    return 0


def rows(times: Times) -> Iterator[str]:
    """The lines of the table."""
    for rate in RATES:
        one = simulate(rate, times)
        needed = databases_needed(rate, times)
        many = simulate(rate, times, databases=needed or 1)
        growth = rate * ROW_BYTES * 86_400 / 1e9
        yield (
            f"| {rate:,} | {processes(rate):,} | {rate * POSTGRES_CPU_MS / 1000:.1f} |"
            f" {_wait(one.p50)} | {_wait(one.p95)} | {one.batch:.0f} | {needed} |"
            f" {_wait(many.p95)} | {growth:,.0f} GB |"
        )


def text(measured: Mapping[int, float]) -> str:
    times = fit(measured)
    points = ", ".join(f"{ms:.2f} ms for {size}" for size, ms in measured.items())
    return "\n".join(
        [
            f"- Measured transactions of the ledger, by items: {points}.",
            f"- Simulated: {times.base:.2f} ms + {times.each:.4f} ms an item, at most"
            f" {BATCH_MAX} items; {CPU_MS} ms of CPU a request, processes at"
            f" {LOAD:.0%} of a core.",
            "",
            "| requests a second | processes | cores of PostgreSQL | commit p50 | p95 |"
            " items a commit | databases for p95 < 50 ms | p95 with them | ledger a day |",
            "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
            *rows(times),
        ]
    )


def _wait(ms: float) -> str:
    return "refused" if ms > REFUSED_MS else f"{ms:.1f} ms"


def measure() -> dict[int, float]:
    """Time transactions on a PostgreSQL of our own."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        code = "from bench import batches; batches.measure()"
        printed = gateway.run_on_engines(servers.cores(), folder, code)
    return {int(size): ms for size, ms in json.loads(printed).items()}


def main() -> None:
    found = text(measure())
    if "--write" in sys.argv:
        report.write(PAGE, found, begin=BEGIN, end_mark=END)
    print(found)


if __name__ == "__main__":
    main()
