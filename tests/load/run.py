"""Runs a load test of k6 on a production stack of its own, and judges it.

`make load PROFILE=basic`. PostgreSQL, Valkey, two web processes, a worker with the beat and the
demo provider are started for it and thrown away; all is on loopback.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import gateway, leaks, report, servers
from bench.gateway import Started
from bench.jobs import run_worker
from bench.leaks import Growth, Sample, Watcher
from bench.servers import Cores, Program
from tests.load import verdict
from tests.load.books import Books
from tests.load.summary import LoadSummary

FOLDER = Path(__file__).parent
SCRIPTS = {
    "basic": "llm-load-test.js",
    "spike": "spike-test.js",
    "stress": "stress-test.js",
    "soak": "soak-test.js",
}
MISSED = 99
PAGE = servers.ROOT / "docs" / "LOAD_TESTING_GUIDE.md"
K6 = Path(sys.executable).with_name("k6")
WORKERS = 2
# Fewer customers than the bench has, so that caches are soon warm.
CUSTOMERS = 12
SAMPLE_S = 5.0
# Time for open requests to be settled at the end.
SETTLED_S = 60.0


@dataclass(frozen=True)
class LoadRun:
    """What was measured, in the folder that also has k6's page of plots."""

    summary: LoadSummary
    books: Books
    growths: list[Growth] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a profile. Returns 0 if every target is met, else 1."""
    options = _options(arguments)
    if not K6.exists():
        sys.exit(f"k6 is not at {K6}: 'make load' installs it.")
    folder = servers.ROOT / "build" / "load" / options.profile
    folder.mkdir(parents=True, exist_ok=True)
    changes = {"DURATION": options.duration, "RATE": options.rate}
    found = run(options.profile, folder, {k: v for k, v in changes.items() if v})
    rows = verdict.judge(found.summary, found.books, found.growths)
    text = verdict.render(found.summary, rows)
    (folder / "summary.md").write_text(f"{text}\n")
    _say(f"\n{text}\n\nPlots: {folder.relative_to(servers.ROOT)}/report.html")
    if options.write:
        write(options.profile, text)
    return int(not all(met for *_, met in rows))


def write(profile: str, text: str, page: Path = PAGE) -> None:
    """Write a report into its place in the guide."""
    begin, end = f"<!-- {profile}: begin -->", f"<!-- {profile}: end -->"
    report.write(page, text, begin=begin, end_mark=end)
    _say(f"written to {page.name}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.load.run")
    parser.add_argument("profile", choices=SCRIPTS)
    parser.add_argument("--duration", help="seconds; of a spike or of a step of stress")
    parser.add_argument("--rate", help="requests a second, at the beginning")
    parser.add_argument("--write", action="store_true", help=f"write docs/{PAGE.name}")
    return parser.parse_args(arguments)


def run(profile: str, folder: Path, changes: dict[str, str]) -> LoadRun:
    """Start everything, run k6 with `changes` of its environment, read the ledger."""
    every = frozenset(servers.usable_cores())
    with contextlib.ExitStack() as stack:
        _say(
            "Starting PostgreSQL, Valkey, the demo provider, web processes and a worker."
        )
        ours, spent = stack.enter_context(_run_stack(Cores(every, every)))
        watcher = stack.enter_context(Watcher(ours))
        environment = {
            "BASE_URL": ours.server.url,
            "API_KEY": ",".join(ours.server.keys[:CUSTOMERS]),
            "SPENT_API_KEY": spent,
            "SUMMARY": str(folder / "summary.json"),
            **changes,
        }
        samples = _run_k6(SCRIPTS[profile], folder, environment, watcher)
        summary = LoadSummary.from_json((folder / "summary.json").read_text())
        books = _read_books(ours, watcher)
    growths = leaks.judge(samples) if profile == "soak" else []
    return LoadRun(summary, books, growths)


@contextlib.contextmanager
def _run_stack(cores: Cores) -> Iterator[tuple[Started, str]]:
    """The gateway with a worker beside it, and the key of a customer without quota."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        provider = stack.enter_context(servers.run_server(_provider(), cores.around))
        ours = stack.enter_context(
            gateway.run_gateway(provider.url, cores, folder, workers=WORKERS)
        )
        code = "from tests.load import seed; seed.run()"
        [spent] = json.loads(ours.run_code(code))
        stack.enter_context(run_worker(ours, cores))
        yield ours, spent


def _provider() -> Program:
    command = [sys.executable, "manage.py", "demo_provider", "--port", "{port}"]
    return Program("demo_provider", command, "/v1/models")


def _run_k6(
    script: str, folder: Path, environment: dict[str, str], watcher: Watcher
) -> list[Sample]:
    """Run k6 and take samples of the gateway meanwhile.

    A missed threshold, its exit status 99, is told by the table. Raises CalledProcessError.
    """
    page = folder / "report.html"
    dashboard = {
        "K6_NO_USAGE_REPORT": "true",
        "K6_WEB_DASHBOARD": "true",
        # No port: only the page at the end.
        "K6_WEB_DASHBOARD_PORT": "-1",
        "K6_WEB_DASHBOARD_EXPORT": str(page),
        "K6_WEB_DASHBOARD_PERIOD": "1s",
    }
    quiet = [] if sys.stdout.isatty() else ["--quiet", "--no-color"]
    command = [str(K6), "run", *quiet, str(FOLDER / script)]
    process = subprocess.Popen(
        command,
        env={**servers.clean_environment(), **dashboard, **environment},
        stdin=subprocess.DEVNULL,
    )
    samples: list[Sample] = []
    try:
        while process.poll() is None:
            samples.append(watcher.sample())
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SAMPLE_S)
    finally:
        servers.stop(process)
    if process.returncode not in (0, MISSED):
        raise subprocess.CalledProcessError(process.returncode, command)
    return samples


def _read_books(ours: Started, watcher: Watcher) -> Books:
    """The ledger, when no request is open any more."""
    until = time.monotonic() + SETTLED_S
    while watcher.count_reservations() and time.monotonic() < until:
        time.sleep(0.5)
    code = "from tests.load import ledger; print(ledger.read().to_json())"
    return Books.from_json(ours.run_code(code))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
