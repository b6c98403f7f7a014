"""Measures dashboard, Spend page, reports, lists and exports on millions of requests."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import gateway, report, servers
from bench.run import PAGE

BEGIN, END = "<!-- spend: begin -->", "<!-- spend: end -->"
# The targets, in ms and MB.
MOST_MS = {"dashboard": 500.0, "Spend": 500.0, "report": 300.0, "Requests": 300.0}
MOST_MB = 50.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it. Returns 0 if each target is met."""
    parser = argparse.ArgumentParser(prog="python -m bench.spend", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument(
        "--write", action="store_true", help="write docs/PERFORMANCE.md"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        code = f"from bench import spend_times; spend_times.run({options.rows})"
        cores = servers.cores()
        printed = gateway.run_on_engines(cores, Path(folder), code)
    text, met = render(json.loads(printed), options.rows)
    print(text)
    if options.write:
        report.write(PAGE, text, begin=BEGIN, end_mark=END)
    return 0 if met else 1


def render(found: dict[str, Any], rows: int) -> tuple[str, bool]:
    """The figures as a table, and whether each target is met."""
    lines = [
        f"{rows:,} requests of 90 days; {found['sums']:,} sums, made in "
        f"{found['rollup']:.0f} s. Medians of 5.",
        "",
    ]
    checked = [
        (name, f"{ms:.0f} ms", f"<= {most:g} ms", ms <= most)
        for name, ms in found["ms"].items()
        for most in (next(m for n, m in MOST_MS.items() if name.startswith(n)),)
    ]
    export = found["export"]
    checked += [
        (
            f"export of {export['rows']:,} rows",
            f"+{export['mb']:.0f} MB, {export['seconds']:.0f} s",
            f"<= {MOST_MB:g} MB",
            export["mb"] <= MOST_MB,
        ),
        ("sums against rows", "equal" if found["exact"] else "differ", "equal", found["exact"]),
    ]  # fmt: skip
    table, met = report.compare(checked)
    lines.append(table)
    for name, plan in found["plans"].items():
        lines += ["", f"The slowest query of *{name}*:", "", "```", plan, "```"]
    return "\n".join(lines), met


if __name__ == "__main__":
    raise SystemExit(main())
