"""Measures a flood of refusals: what their trace costs, how many rows it leaves, and how
served requests fare beside it; and how soon an alert on a budget is received.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import tempfile
import threading
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from bench import drive, gateway, report, servers
from bench.drive import Bench, Generator
from bench.figures import Latency
from bench.gateway import Started
from bench.jobs import run_worker
from bench.plan import FULL, TRACE_SWITCH, Load, Result
from bench.refusal_figures import Measured, render
from bench.run import PAGE
from tests.core.webhooks.receiver import Receiver, receiving

BEGIN, END = "<!-- refusals: begin -->", "<!-- refusals: end -->"
# Callers of the flood, and served requests a second beside it.
CALLERS, SERVED_RATE = 8, 20.0
# Rows are written every second.
WRITTEN_S = 2.0
MOST_WAIT_S = 180.0


@dataclass(frozen=True)
class Sizes:
    """How much of each is measured; `rate` is refusals a second for `seconds`."""

    rounds: int = 3
    count: int = 5_000
    rate: float = 20_000 / 60
    seconds: float = 60.0
    alerts: int = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it. Returns 0 if each target is met."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.refusals", description=__doc__
    )
    for name, value in vars(Sizes()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    parser.add_argument(
        "--write", action="store_true", help="write docs/PERFORMANCE.md"
    )
    options = vars(parser.parse_args(arguments))
    write = options.pop("write")
    text, met = render(run(Sizes(**options)))
    print(text)
    if write:
        report.write(PAGE, text, begin=BEGIN, end_mark=END)
    return 0 if met else 1


def run(sizes: Sizes) -> Measured:
    """Measure on servers of its own."""
    cores, found = servers.cores(), Measured()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fake = servers.run_server(servers.upstream(), cores.around)
        upstream = stack.enter_context(fake)
        generators = [
            stack.enter_context(drive.generator(cores.around)) for _ in range(2)
        ]
        bench = Bench(generators[0], FULL, drive.learn_answers(upstream))
        started = gateway.run_gateway(
            upstream.url, cores, folder, app="bench.trace_switch:application"
        )
        ours = stack.enter_context(started)
        flood = Flood(ours, bench, generators[1], found)
        _measure_flood(flood, sizes)
        if sizes.alerts:
            receiver = stack.enter_context(receiving())
            ours.run_code(f"from bench import seed; seed.add_alerts({receiver.url!r})")
            stack.enter_context(run_worker(ours, cores))
            _measure_alerts(ours, receiver, sizes, found)
    return found


class Flood:
    """Refused requests of a few callers without quota, and served ones beside them."""

    def __init__(
        self, ours: Started, bench: Bench, refused: Generator, found: Measured
    ) -> None:
        self.ours = ours
        self._bench = bench
        self._refused = refused
        self._found = found
        code = f"from bench import seed; seed.add_refused({CALLERS})"
        self._keys = tuple(json.loads(ours.run_code(code)))
        self.began = time.monotonic()

    def switch(self, *, on: bool) -> None:
        """Have the gateway trace refusals, or not."""
        url = f"{self.ours.server.url}{TRACE_SWITCH}{'on' if on else 'off'}"
        with urllib.request.urlopen(url, timeout=10):  # noqa: S310 - our own server, on this machine
            pass

    def refuse(self, count: int, rate: float = 0.0, *, on: bool = True) -> Result:
        """So many refusals, as fast as they come or `rate` a second."""
        load = self._bench.load(self.ours.server, "miss", count, rate)
        refused: Load = replace(
            load, kind="refused", keys=self._keys, expected="insufficient_quota"
        )
        result = self._refused.run(refused)
        # A refusal for another reason, such as a slow database, is traced as well.
        self._found.traced += result.answered + result.wrong if on else 0
        self._found.others += result.wrong
        return result

    def cost_ms(self, count: int, *, on: bool) -> float:
        """CPU of the web process for a refusal, with the writing of its trace."""
        self.switch(on=on)
        before = self.ours.server.cpu_seconds()
        answered = self.refuse(count, on=on).answered
        time.sleep(WRITTEN_S)
        return (self.ours.server.cpu_seconds() - before) * 1000 / answered

    def serve_beside(self, sizes: Sizes, *, on: bool) -> Result:
        """Served requests while so many others are refused."""
        self.switch(on=on)
        count = round(sizes.rate * sizes.seconds)
        flood = threading.Thread(
            target=self.refuse, args=[count, sizes.rate], kwargs={"on": on}
        )
        flood.start()
        served = round(SERVED_RATE * sizes.seconds)
        load = self._bench.load(self.ours.server, "miss", served, SERVED_RATE)
        result = self._bench.generator.run(load)
        flood.join()
        return result


def _measure_flood(flood: Flood, sizes: Sizes) -> None:
    """Alternate with the trace and without, and count its rows at the end."""
    found = flood._found
    flood.refuse(max(200, sizes.count // 10))
    for number in range(2 * sizes.rounds):
        # On, off, off, on: a drift of the machine meets both alike.
        on = number % 4 in (0, 3)
        found.cpu_ms[on].append(flood.cost_ms(sizes.count, on=on))
    for number in range(2 * sizes.rounds):
        on = number % 4 in (0, 3)
        result = flood.serve_beside(sizes, on=on)
        found.served += result.answered + result.wrong
        found.lost += result.wrong
        found.p95_ms[on].append(Latency.make(result.latency_ms).p95)
    time.sleep(WRITTEN_S)
    _count_rows(flood, found)


def _count_rows(flood: Flood, found: Measured) -> None:
    minutes = math.ceil((time.monotonic() - flood.began) / 60) + 1
    code = "from django.conf import settings; print(settings.REFUSALS_PER_MINUTE)"
    found.most_rows = int(flood.ours.run_code(code)) * CALLERS * minutes
    with psycopg.connect(flood.ours.database_url) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM billing_refusal), "
            "(SELECT coalesce(sum(count), 0) FROM billing_refusal_count)"
        ).fetchone()
    found.rows, found.counted = map(int, row or (0, 0))
    with urllib.request.urlopen(f"{flood.ours.server.url}/metrics") as answer:  # noqa: S310 - our own server, on this machine
        lines = answer.read().decode().splitlines()
    [dropped] = [
        one for one in lines if one.startswith("valuecanvas_refusals_dropped_total ")
    ]
    found.dropped = int(float(dropped.split()[1]))


def _measure_alerts(
    ours: Started, receiver: Receiver, sizes: Sizes, found: Measured
) -> None:
    """From the answer that crosses a budget to the webhook; the first is a warm-up."""
    for number in range(sizes.alerts + 1):
        name = f"spender-{number}"
        key = json.loads(
            ours.run_code(f"from bench import seed; seed.add_spender({name!r})")
        )
        _ask(ours, key)
        crossed = time.monotonic()
        while not any(name.encode() in one.body for one in receiver.received):
            if time.monotonic() - crossed > MOST_WAIT_S:
                raise RuntimeError(f"no alert about {name}")
            time.sleep(0.05)
        if number:
            found.alert_s.append(time.monotonic() - crossed)


def _ask(ours: Started, key: str) -> None:
    body = {"model": "ok", "messages": [{"role": "user", "content": "Say hello."}]}
    request = urllib.request.Request(  # noqa: S310 - our own server, on this machine
        f"{ours.server.url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {key}"},
    )
    with urllib.request.urlopen(request, timeout=60):  # noqa: S310 - our own server, on this machine
        pass


if __name__ == "__main__":
    raise SystemExit(main())
