"""Compares the gateway, LiteLLM and a bare forwarder under the same load."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import platform
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import drive, gateway, measure, peer, report, servers
from bench.drive import Bench
from bench.figures import Figures
from bench.plan import FULL, QUICK, Sizes
from bench.report import Found
from bench.servers import Cores

PAGE = servers.ROOT / "docs" / "PERFORMANCE.md"
NAMES = (report.FLOOR, report.PEER, report.OURS)
FLOOR_TIMES = 4
PACKAGES = ("django", "uvicorn", "uvloop", "httptools", "aiohttp", "redis", "psycopg")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark. Returns 1 if answers were wrong; a missed target is no failure."""
    options = _options(arguments)
    sizes = QUICK if options.quick else FULL
    names = [name for name in NAMES if name in options.only]
    if report.PEER in names:
        peer.install()
    cores = servers.cores()
    found = _measure(names, sizes, cores, options.observe)
    text = page(found, sizes, cores)
    print(text)
    whole = not options.quick and set(names) == set(NAMES)
    if options.write or whole:
        report.write(PAGE, text)
        print(f"\nwritten to {PAGE.relative_to(servers.ROOT)}")
    _save_figures(found)
    return int(any(figures.wrong for figures in found.values()))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument(
        "--only",
        type=lambda text: _names(text, parser),
        default=NAMES,
        help=f"servers to measure, of {','.join(NAMES)}",
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests")
    parser.add_argument(
        "--observe",
        metavar="RATIO",
        default="",
        help="have our gateway trace, and send this share of its traces to a collector",
    )
    parser.add_argument("--write", action="store_true", help="write the docs anyway")
    return parser.parse_args(arguments)


def _names(text: str, parser: argparse.ArgumentParser) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if unknown := set(names) - set(NAMES):
        parser.error(f"unknown servers: {', '.join(sorted(unknown))}")
    return names


def _measure(
    names: list[str], sizes: Sizes, cores: Cores, observe: str
) -> dict[str, Figures]:
    found: dict[str, Figures] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fake = servers.upstream()
        upstream = stack.enter_context(servers.run_server(fake, cores.around))
        generator = stack.enter_context(drive.generator(cores.around))
        bench = Bench(generator, sizes, drive.learn_answers(upstream))
        traced = {}
        if observe:
            sink = stack.enter_context(
                servers.run_server(servers.collector(), cores.around)
            )
            traced["OTEL_EXPORTER_OTLP_ENDPOINT"] = sink.url
            traced["TRACE_SAMPLE_RATIO"] = observe
        print("measuring the upstream alone", flush=True)
        found[report.BASE] = bench.measure_upstream(upstream)
        for name in names:
            print(f"measuring {name}", flush=True)
            found[name] = _one(
                bench,
                name,
                upstream=upstream.url,
                cores=cores,
                folder=folder,
                more=traced,
            )
    return found


def _one(
    bench: Bench,
    name: str,
    *,
    upstream: str,
    cores: Cores,
    folder: Path,
    more: dict[str, str],
) -> Figures:
    if name == report.OURS:
        with gateway.run_gateway(upstream, cores, folder, more=more) as ours:
            figures = bench.measure(ours.server, ours.beside)
            bench.measure_own_kinds(ours.server, figures, ours.beside)
            figures.evaluation_us = ours.evaluation_us()
            ours.stop_waiting_for_disk()
            bench.measure_latency(ours.server, "miss", figures, report.NO_FSYNC)
            figures.notes.append(_disk(folder))
            figures.notes.append(ours.ledger_note(figures.answered))
            return figures
    if name == report.PEER:
        program = peer.program(upstream, drive.model_names(), folder)
    else:
        program = servers.floor(upstream)
        bench = replace(bench, sizes=bench.sizes.times(FLOOR_TIMES))
    with servers.run_server(program, cores.server) as server:
        return bench.measure(server)


def _disk(folder: Path) -> str:
    """The time of one sync of this disk; the gateway commits twice per request."""
    times = measure.sync_ms(folder)
    p50, p95 = (measure.percentile(times, share) for share in (0.50, 0.95))
    return f"one fdatasync of 8 kB on this disk takes {p50:.2f} ms, at p95 {p95:.2f} ms"


def page(found: Found, sizes: Sizes, cores: Cores) -> str:
    """The report in Markdown: environment, settings, table and targets."""
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    facts = [
        f"Measured on {today}: {_processor()}, Python {platform.python_version()}, "
        f"{', '.join(versions)}.",
        f"Placed: {cores.description}.",
        f"Ours: {gateway.SETTINGS}.",
        f"Peer: {peer.SETTINGS}.",
        f"Load: a closed loop of 32 clients, {sizes.rounds} x {sizes.miss} misses and "
        f"{sizes.rounds} x {sizes.stream} streams (for the forwarder {FLOOR_TIMES} "
        f"times as many) after {sizes.warm_up} to warm up; then {sizes.seconds:g} s of "
        "Poisson arrivals, the same for every server.",
    ]
    lines = [
        *(_item(line) for line in facts),
        "",
        report.table(found, sizes.rate, sizes.stream_rate),
        "",
        *(_item(line) for line in report.details(found)),
        "",
        "Targets:",
        "",
        *(_item(report.describe_target(target)) for target in report.targets(found)),
    ]
    return "\n".join(lines)


def _item(text: str) -> str:
    return textwrap.fill(
        f"- {text}", 88, subsequent_indent="  ", break_on_hyphens=False
    )


def _processor() -> str:
    model = "processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{model}, {len(servers.usable_cores())} cores"


def _save_figures(found: dict[str, Figures]) -> None:
    """Save the raw figures beside the logs."""
    kept = servers.LOG_DIR / "figures.json"
    plain = {name: figures.as_dict() for name, figures in found.items()}
    kept.write_text(json.dumps(plain, indent=2))


if __name__ == "__main__":
    raise SystemExit(main())
