"""Rehearses the alerts at their real speed: minutes of clean load, then an outage of the provider.

A real Prometheus scrapes the gateway with the product's rules. It takes a quarter of an hour.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import drive, gateway, report, servers
from bench.drive import Bench
from bench.gateway import Started
from bench.plan import FULL
from bench.run import PAGE
from tests.live.prometheus import Prometheus, prometheus

BEGIN, END = "<!-- outage: begin -->", "<!-- outage: end -->"
# Requests a second.
RATE = 5.0
MOST_OUTAGE_S, PATIENCE_S = 120.0, 300.0
PAGE_ALERT = "ValueCanvasOutage"
# Nothing else runs beside the gateway.
ALWAYS = {"ValueCanvasNoWorker"}


@dataclass
class Measured:
    """The figures of a run."""

    minutes: float
    served: int = 0
    failed: int = 0
    # Alerts that fired during the clean load, and during the outage.
    clean: set[str] = field(default_factory=set)
    outage: set[str] = field(default_factory=set)
    paged_s: float | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it. Returns 0 if each target is met."""
    parser = argparse.ArgumentParser(prog="python -m bench.outage", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of clean load")
    parser.add_argument(
        "--write", action="store_true", help="write docs/PERFORMANCE.md"
    )
    options = parser.parse_args(arguments)
    text, met = render(run(options.minutes))
    print(text)
    if options.write:
        report.write(PAGE, text, begin=BEGIN, end_mark=END)
    return 0 if met else 1


def run(minutes: float) -> Measured:
    """Measure on servers of its own."""
    cores, found, token = servers.cores(), Measured(minutes), secrets.token_urlsafe()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        provider = stack.enter_context(contextlib.ExitStack())
        fake = servers.run_server(servers.upstream(), cores.around)
        upstream = provider.enter_context(fake)
        generator = stack.enter_context(drive.generator(cores.around))
        bench = Bench(generator, FULL, drive.learn_answers(upstream))
        more = {"METRICS_TOKEN": token}
        started = gateway.run_gateway(upstream.url, cores, folder, more=more)
        ours = stack.enter_context(started)
        port = int(ours.server.url.rpartition(":")[2])
        watch = stack.enter_context(prometheus(folder, port, token, faster=1))
        found.clean = _load(bench, ours, watch, minutes * 60, found)
        provider.close()
        began = time.monotonic()
        found.outage = _load(bench, ours, watch, PATIENCE_S, found, until=PAGE_ALERT)
        if PAGE_ALERT in found.outage:
            found.paged_s = time.monotonic() - began
    return found


def _load(
    bench: Bench,
    ours: Started,
    watch: Prometheus,
    seconds: float,
    found: Measured,
    until: str = "",
) -> set[str]:
    """The alerts that fire while requests come, at most until one of them does."""
    fired: set[str] = set()
    ended = threading.Event()

    def send() -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and until not in fired:
            # In pieces of a few seconds, so that it can end early.
            load = bench.load(ours.server, "miss", round(RATE * 5), RATE)
            result = bench.generator.run(load)
            found.served += result.answered
            found.failed += result.wrong
        ended.set()

    traffic = threading.Thread(target=send)
    traffic.start()
    while not ended.wait(1.0):
        fired |= watch.firing() - ALWAYS
        if until in fired:
            break
    traffic.join()
    return fired


def render(found: Measured) -> tuple[str, bool]:
    """The figures as a table, and whether each target is met."""
    paged = "not at all" if found.paged_s is None else f"after {found.paged_s:.0f} s"
    in_time = found.paged_s is not None and found.paged_s <= MOST_OUTAGE_S
    rows = [
        (
            f"alerts during {found.minutes:g} minutes of clean load",
            ", ".join(sorted(found.clean)) or "none",
            "none",
            not found.clean,
        ),
        (
            f"{PAGE_ALERT} once the provider is gone",
            paged,
            f"<= {MOST_OUTAGE_S:g} s",
            in_time,
        ),
    ]
    intro = (
        f"{RATE:g} requests a second: {found.served:,} answered, then {found.failed:,} failed. "
        f"Alerts by then: {', '.join(sorted(found.outage)) or 'none'}."
    )
    table, met = report.compare(rows)
    return f"{intro}\n\n{table}", met


if __name__ == "__main__":
    raise SystemExit(main())
