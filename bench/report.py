"""Writes the results as a table with ratios, as targets, and into the docs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figures, Target
from bench.plan import OWN

BEGIN = "<!-- bench: begin -->"
END = "<!-- bench: end -->"
OURS, PEER, FLOOR, BASE = "gateway", "litellm", "floor", "upstream"
COLUMNS = {OURS: "ValueCanvas", PEER: "LiteLLM", FLOOR: "bare forwarder"}
NO_FSYNC = "miss without fsync"
LATENCIES, SHARES = ("miss", NO_FSYNC), ("p50", "p95")
# The kind of the peer's latency to compare with, if it lacks the kind itself.
PEER_LATENCY = {NO_FSYNC: "miss"}
NONE = "–"
Found = Mapping[str, Figures]


@dataclass(frozen=True)
class Row:
    """One figure of every server; `peer` is the one that ours is compared with."""

    label: str
    unit: str
    values: Mapping[str, float]
    peer: float | None
    note: str = ""


_COSTS = {
    "miss": "miss",
    "hit": "cache hit",
    "stream": "31-chunk stream",
    "fetch": "prompt fetch",
    "flag": "one flag over OFREP",
    "flags": "1,000 flags over OFREP",
}
# The label, and the upstream's own latency to subtract.
_LATENCY = {
    "miss": ("added latency at {rate:g}/s", "miss"),
    NO_FSYNC: ("added latency at {rate:g}/s, PostgreSQL's fsync off", "miss"),
    "hit": ("added latency of a cache hit at {rate:g}/s", "miss"),
    "stream": ("added latency of a whole stream at {stream_rate:g}/s", "stream"),
    "first content": (
        "added time to first content at {stream_rate:g}/s",
        "first content",
    ),
}


def rows(found: Found, rate: float, stream_rate: float) -> list[Row]:
    """The rows of the table; a server that was not measured has no value."""
    costs = [_cost_row(found, kind) for kind in _COSTS]
    # Other servers have no prompts and flags.
    own = {f"CPU a request, {_COSTS[kind]}" for kind in OWN}
    table = [row for row in costs if row.values or row.label not in own]
    for kind, (label, _) in _LATENCY.items():
        text = label.format(rate=rate, stream_rate=stream_rate)
        for share in ("p50", "p95", "p99"):
            values = _added(found, kind, share)
            if values or kind not in ("hit", NO_FSYNC):
                peer = _added(found, PEER_LATENCY.get(kind, kind), share).get(PEER)
                table.append(Row(f"{text}, {share}", "ms", values, peer))
    memory = {name: figures.peak_mb for name, figures in found.items()}
    table.append(Row("peak memory", "MB", memory, memory.get(PEER)))
    return table


def _cost_row(found: Found, kind: str) -> Row:
    values = {n: f.cost[kind].ms for n, f in found.items() if kind in f.cost}
    label = f"CPU a request, {_COSTS[kind]}"
    if kind != "hit":
        return Row(label, "ms", values, values.get(PEER))
    their_miss = _cost(found, PEER, "miss")
    return Row(label, "ms", values, their_miss, " (its miss)")


def _added(found: Found, kind: str, share: str) -> dict[str, float]:
    """The latency that each server adds to the upstream's own, at this percentile."""
    base = found[BASE].latency.get(_LATENCY[kind][1]) if BASE in found else None
    if base is None:
        return {}
    return {
        name: getattr(figures.latency[kind].subtract(base), share)
        for name, figures in found.items()
        if kind in figures.latency and name != BASE
    }


def table(found: Found, rate: float, stream_rate: float) -> str:
    """The figures as a Markdown table with our ratios in the last two columns."""
    head = ["", *COLUMNS.values(), "LiteLLM / ours", "ours / forwarder"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    lines += [_cells(row) for row in rows(found, rate, stream_rate)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(row: Row) -> list[str]:
    cells = [_number(row.values.get(name), row.unit) for name in COLUMNS]
    ours = row.values.get(OURS)
    if ours is None and "cache hit" in row.label:
        cells[0] = "not yet"
    ratio = _ratio(row.peer, ours)
    return [
        row.label,
        *cells,
        ratio if ratio == NONE else ratio + row.note,
        _ratio(ours, row.values.get(FLOOR)),
    ]


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return NONE
    return f"{value:.0f} {unit}" if unit == "MB" else f"{value:.2f} {unit}"


def _ratio(above: float | None, below: float | None) -> str:
    # `not >` is true of nan too.
    if above is None or below is None or not above > 0 or not below > 0:
        return NONE
    return f"{above / below:.1f}"


def targets(found: Found) -> list[Target]:
    """The project's targets with the results of this run."""
    miss = {name: _cost(found, name, "miss") for name in COLUMNS}
    stream = {name: _cost(found, name, "stream") for name in COLUMNS}
    hit = _cost(found, OURS, "hit")
    return [
        Target("miss: 1/10 of LiteLLM's CPU", miss[OURS], miss[PEER] / 10, "ms"),
        Target("miss: CPU", miss[OURS], 1.3, "ms"),
        Target("miss: CPU over the forwarder's", miss[OURS] / miss[FLOOR], 7, "x"),
        Target("stream: 1/25 of LiteLLM's CPU", stream[OURS], stream[PEER] / 25, "ms"),
        Target("stream: CPU", stream[OURS], 1.6, "ms"),
        *[
            _latency_target(found, kind, share)
            for kind in LATENCIES
            for share in SHARES
        ],
        Target("hit: CPU", hit, 0.6, "ms"),
        Target("hit: 1/20 of LiteLLM's miss", hit, miss[PEER] / 20, "ms"),
        Target("prompt fetch: CPU", _cost(found, OURS, "fetch"), 0.3, "ms"),
        Target("one flag in process, 10 rules: CPU", _evaluation(found), 10, "us"),
        Target("one flag over OFREP: CPU", _cost(found, OURS, "flag"), 0.3, "ms"),
        Target("1,000 flags over OFREP: CPU", _cost(found, OURS, "flags"), 15, "ms"),
    ]


def _latency_target(found: Found, kind: str, share: str) -> Target:
    ours = _added(found, kind, share).get(OURS, math.nan)
    theirs = _added(found, "miss", share).get(PEER, math.nan)
    what = f"added latency of a {kind}, {share}: half of LiteLLM's"
    return Target(what, ours, theirs / 2, "ms")


def _evaluation(found: Found) -> float:
    return found[OURS].evaluation_us if OURS in found else math.nan


def _cost(found: Found, name: str, kind: str) -> float:
    if name not in found or kind not in found[name].cost:
        return math.nan
    return found[name].cost[kind].ms


def describe_target(target: Target) -> str:
    """One line for a target: met, MISSED or not measured."""
    if not target.measured:
        return f"not measured: {target.what}"
    word = "met" if target.met else "MISSED"
    return (
        f"{word}: {target.what}: {target.value:.2f} <= {target.limit:.2f} {target.unit}"
    )


def details(found: Found) -> list[str]:
    """The spread of the rounds, the CPU of the engines, and wrong answers."""
    lines: list[str] = []
    for figures in found.values():
        for kind, cost in figures.cost.items():
            spread = f"rounds from {cost.low:.2f} to {cost.high:.2f} ms"
            others = "".join(f", {n} {ms:.2f} ms" for n, ms in cost.beside.items())
            lines.append(f"{figures.name}, {kind}: {spread}{others}")
        wrong = f"{figures.wrong} wrong" if figures.wrong else "none wrong"
        lines.append(f"{figures.name}: {figures.answered} right answers, {wrong}")
        lines.extend(f"{figures.name}: WRONG: {text}" for text in figures.problems)
        lines.extend(f"{figures.name}: {note}" for note in figures.notes)
    return lines


def compare(checked: Sequence[tuple[str, str, str, bool]]) -> tuple[str, bool]:
    """Figures beside their targets as a table, and whether each target is met.

    Each is its name, what was measured, the target, and whether that is met.
    """
    lines = ["| figure | measured | target | |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {name} | {value} | {target} | {'met' if met else '**missed**'} |"
        for name, value, target, met in checked
    ]
    return "\n".join(lines), all(met for *_, met in checked)


def write(page: Path, text: str, *, begin: str = BEGIN, end_mark: str = END) -> None:
    """Replace the text between the page's markers. Raises ValueError if it has none."""
    old = page.read_text()
    start, end = old.index(begin) + len(begin), old.index(end_mark)
    page.write_text(f"{old[:start]}\n{text.strip()}\n{old[end:]}")
