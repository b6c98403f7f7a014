"""Measures a scrape of /metrics after many customers and a crawl: its size, and how long it
holds up the event loop.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import drive, gateway, report, servers
from bench.drive import Bench
from bench.gateway import Started
from bench.plan import FULL, LAG
from bench.run import PAGE

BEGIN, END = "<!-- scrape: begin -->", "<!-- scrape: end -->"
# The targets.
MOST_KB, MOST_LAG_MS = 300.0, 20.0
# As a proxy would have it; without it production leads to https.
PROXY = {"x-forwarded-proto": "https", "x-forwarded-for": "127.0.0.1"}
# A scrape is rendered anew after a second.
PAUSE_S = 1.2
# What a crawler tries: each with a number of its own in it.
PATHS = (
    "/{}", "/v1/{}", "/v1/models/m-{}", "/api/{}", "/api/prompts/p-{}/fetch", "/admin/{}",
    "/admin/billing/customer/{}/change/", "/v1/requests/{}", "/.well-known/{}", "/wp/{}.php",
)  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """How many customers call once, pages are crawled, and scrapes are measured."""

    customers: int = 10_000
    pages: int = 5_000
    scrapes: int = 20


@dataclass
class Measured:
    """The figures of a run; `idle_ms` are lags without a scrape."""

    answered: int = 0
    crawled: int = 0
    size_kb: float = 0.0
    lag_ms: list[float] = field(default_factory=list)
    idle_ms: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it. Returns 0 if each target is met."""
    parser = argparse.ArgumentParser(prog="python -m bench.scrape", description=__doc__)
    for name, value in vars(Sizes()).items():
        parser.add_argument(f"--{name}", type=int, default=value)
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
        generator = stack.enter_context(drive.generator(cores.around))
        bench = Bench(generator, FULL, drive.learn_answers(upstream))
        more = {"TRUST_PROXY": "on"}
        started = gateway.run_gateway(
            upstream.url, cores, folder, more=more, app="bench.lag_probe:application"
        )
        ours = stack.enter_context(started)
        code = f"from bench import seed; seed.add_customers({sizes.customers})"
        keys = tuple(json.loads(ours.run_code(code)))
        load = bench.load(ours.server, "miss", sizes.customers)
        found.answered = generator.run(replace(load, keys=keys)).answered
        found.crawled = _crawl(ours, sizes.pages, keys[0])
        _scrape(ours, sizes.scrapes, found)
    return found


def _crawl(ours: Started, pages: int, key: str) -> int:
    """Ask for paths of all kinds, with a key and without; returns how many answered."""
    for number in range(pages):
        path = PATHS[number % len(PATHS)].format(number)
        headers = {"authorization": f"Bearer {key}"} if number % 20 < 10 else {}
        _get(ours, path, headers)
    return pages


def _get(ours: Started, path: str, headers: dict[str, str] | None = None) -> bytes:
    """The body of an answer with status 200, else nothing; redirects are not followed."""
    host = ours.server.url.removeprefix("http://")
    with contextlib.closing(http.client.HTTPConnection(host, timeout=60)) as connection:
        connection.request("GET", path, headers={**PROXY, **(headers or {})})
        answer = connection.getresponse()
        body = answer.read()
        return body if answer.status == http.client.OK else b""


def _scrape(ours: Started, scrapes: int, found: Measured) -> None:
    """Alternate between a pause and a scrape, and take the longest delay of each."""
    _get(ours, LAG)
    for _ in range(scrapes):
        time.sleep(PAUSE_S)
        found.idle_ms.append(float(_get(ours, LAG)))
        began = time.monotonic()
        found.size_kb = max(found.size_kb, len(_get(ours, "/metrics")) / 1000)
        found.seconds.append(time.monotonic() - began)
        found.lag_ms.append(float(_get(ours, LAG)))


def render(found: Measured) -> tuple[str, bool]:
    """The figures as a table, and whether each target is met."""
    lag = statistics.median(found.lag_ms)
    checked = [
        ("size", f"{found.size_kb:.0f} KB", f"<= {MOST_KB:g} KB", found.size_kb <= MOST_KB),
        (
            "longest delay of the event loop during a scrape",
            f"{lag:.1f} ms, {min(found.lag_ms):.1f} to {max(found.lag_ms):.1f}",
            f"<= {MOST_LAG_MS:g} ms",
            lag <= MOST_LAG_MS,
        ),
    ]  # fmt: skip
    intro = (
        f"{found.answered:,} customers called once, {found.crawled:,} paths were crawled. "
        f"Medians of {len(found.lag_ms)} scrapes, with the range; a scrape takes "
        f"{statistics.median(found.seconds):.2f} s in a thread. Without one the longest "
        f"delay in {PAUSE_S:g} s is {statistics.median(found.idle_ms):.1f} ms."
    )
    table, met = report.compare(checked)
    return f"{intro}\n\n{table}", met


if __name__ == "__main__":
    raise SystemExit(main())
