"""The load generator: a process that reads loads and writes results."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import uvloop

from bench import answers
from bench.client import Pool, get, post
from bench.plan import Load, Result


@dataclass
class Run:
    """A running load with its connections and its result."""

    load: Load
    pool: Pool
    result: Result = field(default_factory=Result)

    async def send_request(self, number: int, due: float) -> None:
        """Send request `number` and check its answer; time counts from `due`."""
        load, result = self.load, self.result
        key, prompt = answers.pick(load.kind, number, len(load.keys))
        request = _request(load, load.keys[key], prompt)
        try:
            connection = await self.pool.take()
            timed = await connection.exchange(request, load.timeout_s)
        except (OSError, TimeoutError) as error:
            result.note(f"no answer: {error!r}")
            return
        done = time.perf_counter()
        self.pool.give_back(connection)
        answer = timed.answer
        if why := answers.problem(load.kind, answer, expected=load.expected):
            result.note(why)
            return
        result.answered += 1
        result.latency_ms.append((done - due) * 1000)
        if timed.first_at:
            result.first_ms.append((timed.first_at - due) * 1000)
        if answer.headers.get("x-valuecanvas-cache") == "hit":
            result.cache_hits += 1


def _request(load: Load, key: str, prompt: int) -> bytes:
    host = urlsplit(load.url).netloc
    if load.kind == "fetch":
        return get(host, key, f"/api/prompts/{load.model}/fetch")
    if load.kind in ("flag", "flags"):
        path = f"/ofrep/v1/evaluate/flags/{load.model}".rstrip("/")
        return post(host, key, answers.context(prompt), path)
    return post(host, key, answers.body(load.kind, load.model, prompt))


async def _client(run: Run, numbers: Iterator[int], until: float) -> None:
    for number in numbers:
        now = time.perf_counter()
        if now > until:
            return
        await run.send_request(number, now)


async def _closed_loop(run: Run) -> None:
    """Each client sends its next request as soon as the last one is answered."""
    load = run.load
    numbers = iter(range(load.first, load.first + load.count))
    until = time.perf_counter() + load.limit_s
    clients = (_client(run, numbers, until) for _ in range(load.clients))
    await asyncio.gather(*clients)


def arrivals(load: Load) -> list[float]:
    """When each request is due, in seconds: a Poisson process, the same for all servers."""
    chance = random.Random(load.count)
    due, times = 0.0, []
    for _ in range(load.count):
        due += chance.expovariate(load.rate)
        times.append(due)
    return times


async def _open_loop(run: Run) -> None:
    """Each request is sent when it is due, even if earlier answers are missing."""
    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for offset, due in enumerate(arrivals(run.load)):
            delay = start + due - time.perf_counter()
            if delay > 0:
                await asyncio.sleep(delay)
            group.create_task(run.send_request(run.load.first + offset, start + due))


async def drive(load: Load) -> Result:
    """Run one load to its end."""
    address = urlsplit(load.url)
    run = Run(load, Pool(address.hostname or "127.0.0.1", address.port or 80))
    start = time.perf_counter()
    await (_open_loop(run) if load.rate else _closed_loop(run))
    run.result.seconds = time.perf_counter() - start
    await run.pool.close()
    return run.result


def serve() -> None:
    """For each line of stdin with a load, write one line with its result."""
    for line in sys.stdin:
        result = uvloop.run(drive(Load.from_json(line)))
        sys.stdout.write(result.to_json() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
