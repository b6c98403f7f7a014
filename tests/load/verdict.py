"""Judges a run: a table of what was measured against its target."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from bench import report
from bench.leaks import Growth
from tests.load.books import Books
from tests.load.summary import (
    TARGETS,
    LoadSummary,
    Span,
    find_breaking_point,
    measure_recovery,
)

Row = tuple[str, str, str, bool]
STATED = "is stated"
JUDGED = ("basic", "soak")
# What a gateway may say: an answer, no key, no quota, not now.
USUAL_STATUSES = {"200", "202", "401", "429", "503"}


def judge(
    found: LoadSummary, books: Books, growths: Sequence[Growth] = ()
) -> list[Row]:
    """Each figure with its target, and whether it is met."""
    if found.profile in JUDGED:
        rows = _targets(found, books)
    elif found.profile == "spike":
        rows = _spike(found)
    else:
        rows = _stress(found)
    rows += [(one.name, one.describe(), "level", one.level) for one in growths]
    return [*rows, *_money(found, books)]


def _targets(found: LoadSummary, books: Books) -> list[Row]:
    p95 = found.value("latency", "p(95)") / 1000
    p99 = found.value("latency", "p(99)") / 1000
    errors = 100 * found.value("errors", "rate")
    rate = found.value("latency", "count") / found.seconds
    want = TARGETS
    return [
        _below("p95 latency", p95, want["p95_s"], "{:.2f} s"),
        _below("p99 latency", p99, want["p99_s"], "{:.2f} s"),
        _below("error rate", errors, want["error_percent"], "{:.2f} %"),
        (
            "throughput",
            f"{rate:.1f} answers/s",
            f">= {want['requests_per_s']:g} answers/s",
            rate >= want["requests_per_s"],
        ),
        (
            "cache hit rate",
            f"{books.hit_percent:.1f} %",
            f"> {want['cache_hit_percent']:g} %",
            books.hit_percent > want["cache_hit_percent"],
        ),
        _below("cost per request", books.cost_usd, want["cost_usd"], "${:.6f}"),
    ]


def _below(name: str, value: float, target: float, form: str) -> Row:
    unit = form.partition("}")[2]
    sign = form.partition("{")[0]
    return (name, form.format(value), f"< {sign}{target:g}{unit}", value < target)


def _spike(found: LoadSummary) -> list[Row]:
    _, spike, _ = found.steps
    return [*_steps(found.steps), _recovery(found, spike.start, spike.end)]


def _stress(found: LoadSummary) -> list[Row]:
    *steps, after = found.steps
    held, broken = find_breaking_point(steps)
    point = f"beyond {steps[-1].rate:g} requests/s: no step broke it"
    if broken is not None:
        least = f"held {held.rate:g}" if held else "no step held"
        point = f"{broken.rate:g} requests/s ({broken.fault}); {least}"
    return [
        *_steps(found.steps),
        ("breaking point", point, STATED, True),
        _recovery(found, steps[0].end, after.start),
    ]


def _steps(steps: Sequence[Span]) -> list[Row]:
    return [
        (
            f"{one.name}, {one.rate:g} requests/s",
            f"{one.answers / one.seconds:.0f} answers/s, p95 {one.p95:.2f} s, "
            f"{one.error_percent:.1f} % errors, {one.dropped} not sent",
            STATED,
            True,
        )
        for one in steps
    ]


def _recovery(found: LoadSummary, begin: float, end: float) -> Row:
    seconds = measure_recovery(found.slices, begin=begin, end=end)
    most = TARGETS["recovery_s"]
    return (
        "recovery",
        "not within the run" if seconds is None else f"{seconds:g} s",
        f"<= {most:g} s",
        seconds is not None and seconds <= most,
    )


def _money(found: LoadSummary, books: Books) -> list[Row]:
    """What must hold of the answers and of the ledger, however high the load."""
    answered = round(found.value("answered", "count"))
    unknown = sum(found.problems.values())
    statuses = found.statuses()
    odd = {
        code: count for code, count in statuses.items() if code not in USUAL_STATUSES
    }
    drifting = books.drifting + books.reservations + (not books.reconciled)
    return [
        ("unusual answers", str(odd or "none"), "none", not odd),
        (
            "billed once",
            f"{books.usage_rows} rows for {answered} answers",
            f"{answered} to {answered + unknown}" if unknown else f"{answered}",
            answered <= books.usage_rows <= answered + unknown,
        ),
        (
            "jobs billed once",
            f"{books.job_rows} rows for {books.jobs} jobs",
            f"{books.jobs}",
            books.job_rows == books.jobs,
        ),
        (
            "ledger",
            f"{books.drifting} counters drift, {books.reservations} reservations left, "
            f"reconcile {'finds none' if books.reconciled else 'finds drift'}",
            "no drift",
            not drifting,
        ),
    ]


def render(found: LoadSummary, rows: Sequence[Row]) -> str:
    """The report in Markdown."""
    table, met = report.compare(rows)
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    statuses = ", ".join(f"{count} {code}" for code, count in found.statuses().items())
    load = "; ".join(
        f"{one.rate:g}/s for {one.seconds:g} s from {one.start:g} s"
        for one in found.steps
    )
    problems = [f"- {count} times {text}" for text, count in found.problems.items()]
    return "\n".join(
        [
            f"Run on {today}, profile {found.profile}: {load}.",
            f"Answers by status: {statuses}.",
            "",
            table,
            "",
            *(problems and ["Not as expected:", "", *problems, ""]),
            "Every target is met." if met else "**A target is missed.**",
        ]
    )
