"""Soak test: minutes of mixed load at a share of the capacity, to find leaks."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import tempfile
import textwrap
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import drive, gateway, leaks, report, servers
from bench.drive import Generator
from bench.leaks import Growth, Sample, Watcher
from bench.mix import MODELS, SHARES, Done, Mix
from bench.run import PAGE

BEGIN = "<!-- soak: begin -->"
END = "<!-- soak: end -->"
# Samples in a run of any length.
SAMPLES = 240
# Time for open requests to be settled at the end.
SETTLED_S = 15.0
APP = "valuecanvas.asgi:application"


@dataclass(frozen=True)
class Plan:
    """Duration, load and server of the soak test."""

    seconds: float = 600.0
    share: float = 0.7
    # Time to measure the capacity, which also warms up.
    probe_s: float = 20.0
    # Then a burst of clients: a process's memory depends on the most requests that it
    # ever had at once, and Python returns little of it. More than a stall queues up, and
    # fewer than LLM_MAX_IN_FLIGHT.
    burst: int = 800
    burst_s: float = 10.0
    workers: int = 1
    app: str = APP


@dataclass
class Soaked:
    """The result of a run."""

    plan: Plan
    capacity: float
    done: Done
    samples: list[Sample]
    reserved: int
    missed: int = 0
    growths: list[Growth] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        level = all(growth.level for growth in self.growths)
        return level and not self.done.wrong and not self.reserved


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the soak test. Returns 0 if nothing grew and all answers were right, else 1."""
    options = _options(arguments)
    plan = Plan(
        seconds=options.seconds,
        share=options.share,
        probe_s=options.probe,
        workers=options.workers,
    )
    found = run(plan)
    text = page(found)
    print(text)
    if options.write or plan.seconds >= Plan.seconds:
        report.write(PAGE, text, begin=BEGIN, end_mark=END)
        print(f"\nwritten to {PAGE.relative_to(servers.ROOT)}")
    return int(not found.passed)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=Plan.seconds)
    parser.add_argument("--share", type=float, default=Plan.share)
    parser.add_argument("--probe", type=float, default=Plan.probe_s)
    parser.add_argument("--workers", type=int, default=Plan.workers)
    parser.add_argument("--write", action="store_true", help="write the docs anyway")
    return parser.parse_args(arguments)


def run(plan: Plan) -> Soaked:
    """Start everything, measure the capacity, then run the load and take samples."""
    cores = servers.cores()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(
            servers.run_server(servers.upstream(), cores.around)
        )
        generator = stack.enter_context(drive.generator(cores.around, "bench.mix"))
        expected = {
            str(kind): text for kind, text in drive.learn_answers(upstream).items()
        }
        ours = stack.enter_context(
            gateway.run_gateway(
                upstream.url, cores, folder, app=plan.app, workers=plan.workers
            )
        )
        watcher = stack.enter_context(Watcher(ours))
        mix = Mix(ours.server.url, ours.server.keys, expected, plan.probe_s)
        print(f"measuring the capacity for {plan.probe_s:g} s", flush=True)
        probed = Done.from_json(generator.ask(mix.to_json()))
        capacity = probed.answered / probed.seconds
        burst = replace(mix, seconds=plan.burst_s, slots=plan.burst, seed=2)
        crowd = Done.from_json(generator.ask(burst.to_json()))
        rate = plan.share * capacity
        print(f"{capacity:.0f} a second; now {plan.seconds:g} s at {rate:.0f}")
        mix = Mix(mix.url, mix.keys, expected, plan.seconds, rate, seed=1)
        done, samples = _drive_and_sample(generator, mix, watcher)
        done.wrong += crowd.wrong
        done.problems += crowd.problems
        reserved = _reserved(watcher)
    growths = leaks.judge(samples)
    return Soaked(plan, capacity, done, samples, reserved, watcher.missed, growths)


def _drive_and_sample(
    generator: Generator, mix: Mix, watcher: Watcher
) -> tuple[Done, list[Sample]]:
    """Run the mix and take samples meanwhile."""
    samples: list[Sample] = []
    step = mix.seconds / SAMPLES
    with ThreadPoolExecutor(1) as beside:
        line: Future[str] = beside.submit(generator.ask, mix.to_json())
        until = time.monotonic() + mix.seconds
        while time.monotonic() < until and not line.done():
            samples.append(watcher.sample())
            time.sleep(step)
        return Done.from_json(line.result()), samples


def _reserved(watcher: Watcher) -> int:
    """The reservations that are still open after SETTLED_S."""
    until = time.monotonic() + SETTLED_S
    while (left := watcher.count_reservations()) and time.monotonic() < until:
        time.sleep(0.2)
    return left


def page(found: Soaked) -> str:
    """The report in Markdown."""
    plan, done = found.plan, found.done
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    mixed = ", ".join(
        f"{share} % {name} ({MODELS[name]})" for name, share in SHARES.items()
    )
    rate = done.answered / done.seconds
    facts = [
        f"Run on {today}: {plan.seconds:g} s at {plan.share:.0%} of a capacity of "
        f"{found.capacity:.0f} requests a second: {rate:.0f} a second, on "
        f"{plan.workers} uvicorn worker(s).",
        f"Before: {plan.probe_s:g} s to find the capacity, then {plan.burst} clients at "
        f"once for {plan.burst_s:g} s.",
        f"Mixed: {mixed}.",
        f"{done.answered} went as they should, {done.wrong} did not.",
        *(f"WRONG: {problem}" for problem in done.problems),
        f"{found.reserved} reservations left over; {found.missed} scrapes of /metrics "
        f"not answered within {leaks.SCRAPE_S:g} s.",
        f"{len(found.samples)} samples; the lowest tenth in the first and the last quarter "
        f"after the warm-up (the first {leaks.WARM_UP:.0%}):",
    ]
    lines = [_item(line) for line in facts]
    lines += [
        textwrap.indent(_item(growth.describe()), "  ") for growth in found.growths
    ]
    lines.append(
        _item("Verdict: nothing grows." if found.passed else "Verdict: FAILED.")
    )
    return "\n".join(lines)


def _item(text: str) -> str:
    return textwrap.fill(
        f"- {text}", 86, subsequent_indent="  ", break_on_hyphens=False
    )


if __name__ == "__main__":
    raise SystemExit(main())
