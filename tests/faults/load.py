"""Traffic that goes on while something breaks, and what it found before, during, after."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.faults.traffic import Row


@dataclass
class Load:
    """Rows by when they began. Times are monotonic seconds."""

    rows: list[Row] = field(default_factory=list)
    marks: dict[str, float] = field(default_factory=dict)

    def mark(self, name: str) -> None:
        """From now on it is `name`."""
        self.marks[name] = time.monotonic()

    def between(self, start: str, end: str = "") -> list[Row]:
        """The rows that began after one mark and before the other."""
        until = self.marks[end] if end else float("inf")
        return [row for row in self.rows if self.marks[start] <= row.began < until]


@asynccontextmanager
async def under_load(
    make: Callable[[], Awaitable[Row]], rate: float
) -> AsyncIterator[Load]:
    """Start `make` at `rate` a second while the block runs, and wait for all of them."""
    load = Load()
    load.mark("start")
    tasks: list[asyncio.Task[Row]] = []

    async def produce() -> None:
        began = time.monotonic()
        for number in range(1_000_000):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            tasks.append(asyncio.create_task(_kept(make)))

    async def _kept(make: Callable[[], Awaitable[Row]]) -> Row:
        row = await make()
        load.rows.append(row)
        return row

    producer = asyncio.create_task(produce())
    try:
        yield load
    finally:
        producer.cancel()
        await asyncio.gather(producer, return_exceptions=True)
        await asyncio.gather(*tasks)


async def off_loop(pool: ThreadPoolExecutor, function: Callable[[], object]) -> None:
    """Run what blocks in the pool's thread, so that the load goes on.

    Engines are leashed to the thread that starts them, so it must live on.
    """
    await asyncio.get_running_loop().run_in_executor(pool, function)
