"""Measures the gateway's memory over 100,000 mixed requests, and its growth."""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import drive, gateway, measure, servers
from bench.drive import Bench
from bench.figures import Figures
from bench.plan import FULL, Kind
from bench.servers import Server

STEP = 5_000
WARM_UP_STEPS = 4
LIMIT_MB = 200.0
# Allowed growth after the warm-up, from the mean of the first quarter to that of the
# last: allocators vary.
LEVEL_MB = 5.0
# One request in five is a stream.
STREAMS = 5


@dataclass(frozen=True)
class Verdict:
    """Resident memory in MB: highest, at the end, and growth after warm-up."""

    peak: float
    last: float
    growth: float

    @property
    def passed(self) -> bool:
        return self.peak <= LIMIT_MB and self.growth <= LEVEL_MB


def judge(samples: Sequence[float], peak: float) -> Verdict:
    """Judge samples taken every STEP requests, with those of the warm-up."""
    settled = samples[min(WARM_UP_STEPS, len(samples) - 1) :]
    quarter = max(1, len(settled) // 4)
    first, last = settled[:quarter], settled[-quarter:]
    growth = sum(last) / quarter - sum(first) / quarter
    return Verdict(peak, samples[-1], growth)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check. Returns 0 if memory is low and stable and all answers are right."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    steps = max(2, parser.parse_args(arguments).requests // STEP)
    figures = Figures("gateway")
    samples, peak = _sample(steps, figures)
    verdict = judge(samples, peak)
    print(
        f"{'level' if verdict.passed else 'MISSED'}: peak {verdict.peak:.1f} MB "
        f"(<= {LIMIT_MB:g}), at the end {verdict.last:.1f} MB, growth after warm-up "
        f"{verdict.growth:+.1f} MB (<= {LEVEL_MB:g})"
    )
    print(f"{figures.answered} right answers, {figures.wrong} wrong")
    for problem in figures.problems:
        print(f"WRONG: {problem}")
    return 0 if verdict.passed and not figures.wrong else 1


def _sample(steps: int, figures: Figures) -> tuple[list[float], float]:
    cores = servers.cores()
    samples: list[float] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fake = servers.run_server(servers.upstream(), cores.around)
        upstream = stack.enter_context(fake)
        generator = stack.enter_context(drive.generator(cores.around))
        bench = Bench(generator, FULL, drive.learn_answers(upstream))
        ours = stack.enter_context(gateway.run_gateway(upstream.url, cores, folder))
        for step in range(1, steps + 1):
            _step(bench, ours.server, figures)
            samples.append(measure.resident_mb(ours.server.pids))
            print(f"{step * STEP:>7} requests: {samples[-1]:.1f} MB", flush=True)
        return samples, ours.server.peak_mb()


def _step(bench: Bench, server: Server, figures: Figures) -> None:
    """Send STEP requests, misses and streams by turns."""
    turns = 10
    streams = STEP // STREAMS // turns
    counts: dict[Kind, int] = {"miss": STEP // turns - streams, "stream": streams}
    for _ in range(turns):
        for kind, count in counts.items():
            load = replace(bench.load(server, kind, count), limit_s=600)
            figures.count(bench.generator.run(load))


if __name__ == "__main__":
    raise SystemExit(main())
