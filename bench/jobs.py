"""Measures a batch of jobs: the worker's CPU for each, its memory, and what the batch
costs interactive callers.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import STDOUT, Popen

import openai
import orjson
from openai.types import Batch

from bench import drive, gateway, measure, report, servers
from bench.drive import Bench
from bench.figures import Figures, Latency
from bench.gateway import Started
from bench.plan import FULL
from bench.run import PAGE
from bench.servers import Cores, Server

BEGIN = "<!-- jobs: begin -->"
END = "<!-- jobs: end -->"
# The targets: the worker's CPU for a job beyond that of a request, in milliseconds; the
# growth of its memory in MB; how much slower interactive requests may get.
MOST_MS, MOST_GROWTH_MB, MOST_SLOWER = 3.0, 20.0, 1.2
# Requests a second of the interactive callers, and for how long.
RATE, SECONDS, WARM_S = 20.0, 20.0, 8.0
OPEN = ("validating", "in_progress", "finalizing")


@dataclass
class Measured:
    """The figures of a run. Times are in milliseconds, memory in MB."""

    lines: int
    request_ms: float = 0.0
    job_ms: float = 0.0
    seconds: float = 0.0
    memory: list[float] = field(default_factory=list)
    alone_p95: float = 0.0
    beside_p95: float = 0.0
    completed: int = 0

    @property
    def growth_mb(self) -> float:
        """From the mean of the second quarter to that of the last one."""
        quarter = max(1, len(self.memory) // 4)
        second, last = self.memory[quarter : 2 * quarter], self.memory[-quarter:]
        return sum(last) / len(last) - sum(second or last) / len(second or last)

    @property
    def rows(self) -> list[tuple[str, str, str, bool]]:
        """Each figure with its target, and whether it is met."""
        beyond, slower = self.job_ms - self.request_ms, self.beside_p95 / self.alone_p95
        return [
            (
                "worker CPU for a job, beyond a request's",
                f"{beyond:.2f} ms ({self.job_ms:.2f} - {self.request_ms:.2f})",
                f"<= {MOST_MS:g} ms",
                beyond <= MOST_MS,
            ),
            (
                "interactive p95 beside the batch",
                f"{slower:.2f} times ({self.beside_p95:.1f} / {self.alone_p95:.1f} ms)",
                f"<= {MOST_SLOWER:g}",
                slower <= MOST_SLOWER,
            ),
            (
                "growth of the worker's memory",
                f"{self.growth_mb:+.1f} MB, highest {max(self.memory):.0f}",
                f"<= {MOST_GROWTH_MB:g} MB",
                self.growth_mb <= MOST_GROWTH_MB,
            ),
            (
                "lines answered",
                f"{self.completed} in {self.seconds:.0f} s",
                str(self.lines),
                self.completed == self.lines,
            ),
        ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it. Returns 0 if each target is met."""
    parser = argparse.ArgumentParser(prog="python -m bench.jobs", description=__doc__)
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument(
        "--write", action="store_true", help="write docs/PERFORMANCE.md"
    )
    options = parser.parse_args(arguments)
    found = run(options.lines)
    text, met = report.compare(found.rows)
    print(text)
    if options.write:
        report.write(PAGE, text, begin=BEGIN, end_mark=END)
    return 0 if met else 1


def run(lines: int) -> Measured:
    """Measure a batch of so many lines on servers of its own."""
    cores, found = servers.cores(), Measured(lines)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fake = servers.run_server(servers.upstream(), cores.around)
        upstream = stack.enter_context(fake)
        generator = stack.enter_context(drive.generator(cores.around))
        bench = Bench(generator, FULL, drive.learn_answers(upstream))
        ours = stack.enter_context(gateway.run_gateway(upstream.url, cores, folder))
        _measure_requests(bench, ours.server, found)
        worker = stack.enter_context(run_worker(ours, cores))
        _measure_batch(bench, ours, worker, found)
    return found


@contextlib.contextmanager
def run_worker(ours: Started, cores: Cores) -> Iterator[Server]:
    """A Celery worker beside the gateway's engines, as the Procfile starts it."""
    command = [
        sys.executable, "-m", "celery", "--quiet", "-A", "valuecanvas", "worker", "-B",
        "--schedule", str(servers.LOG_DIR / "beat"),
    ]  # fmt: skip
    with servers.pin_to_cores(cores.around):
        log = (servers.LOG_DIR / "worker.log").open("wb")
        environment = {**servers.clean_environment(), **ours.environment}
        process = Popen(
            command, cwd=servers.ROOT, env=environment, stdout=log, stderr=STDOUT
        )
    try:
        yield Server("worker", "", (process.pid,), ())
    finally:
        servers.stop(process)
        log.close()


def _measure_requests(bench: Bench, server: Server, found: Measured) -> None:
    """CPU of a request in the web process, and the latency without a batch."""
    figures = Figures("gateway")
    bench.measure_cpu(server, "miss", figures, ())
    found.request_ms = figures.cost["miss"].ms
    found.alone_p95 = _p95(bench, server)


def _p95(bench: Bench, server: Server, seconds: float = SECONDS) -> float:
    load = bench.load(server, "miss", round(RATE * seconds), RATE)
    return Latency.make(bench.generator.run(load).latency_ms).p95


def _measure_batch(
    bench: Bench, ours: Started, worker: Server, found: Measured
) -> None:
    with openai.OpenAI(
        api_key=ours.server.keys[0], base_url=f"{ours.server.url}/v1", max_retries=0
    ) as client:
        batch = _submit(client, found.lines)
        # The worker's start is none of its work.
        while not _completed(client, batch):
            time.sleep(0.2)
        before, done, began = (
            worker.cpu_seconds(),
            _completed(client, batch),
            time.monotonic(),
        )
        beside = False
        while (now := client.batches.retrieve(batch.id)).status in OPEN:
            found.memory.append(measure.resident_mb(worker.pids))
            if not beside:
                # Workers notice within seconds that others are served.
                _p95(bench, ours.server, WARM_S)
                found.beside_p95, beside = _p95(bench, ours.server), True
            time.sleep(1)
        found.seconds = time.monotonic() - began
        spent = worker.cpu_seconds() - before
        found.completed = now.request_counts.completed if now.request_counts else 0
        found.job_ms = spent * 1000 / max(1, found.completed - done)


def _submit(client: openai.OpenAI, lines: int) -> Batch:
    body = "\n".join(map(_line, range(lines))).encode()
    file = client.files.create(file=("jobs.jsonl", body), purpose="batch")
    return client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
    )


def _line(number: int) -> str:
    messages = [{"role": "user", "content": f"Job {number} of the batch"}]
    line = {
        "custom_id": str(number),
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "ok", "messages": messages},
    }
    return orjson.dumps(line).decode()


def _completed(client: openai.OpenAI, batch: Batch) -> int:
    counts = client.batches.retrieve(batch.id).request_counts
    return counts.completed if counts else 0


if __name__ == "__main__":
    raise SystemExit(main())
