"""What each case did, as a table in docs/RELIABILITY.md."""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

BEGIN = "<!-- faults: begin -->"
END = "<!-- faults: end -->"
HEAD = """| Case | Runs | Injected | Result | Figures |
| --- | --- | --- | --- | --- |
"""


@dataclass
class Case:
    """The record of one case. It must inject something, or it has tested nothing."""

    name: str
    runs: str = ""
    injected: dict[str, int] = field(default_factory=dict)
    figures: dict[str, str] = field(default_factory=dict)
    passed: bool = False

    def inject(self, what: str, count: int = 1) -> None:
        """Take down that `what` was done to the gateway `count` times."""
        self.injected[what] = self.injected.get(what, 0) + count

    def inject_all(self, counts: Mapping[str, int]) -> None:
        for what, count in counts.items():
            self.inject(what, count)

    def figure(self, name: str, value: object) -> None:
        self.figures[name] = str(value)

    @property
    def total(self) -> int:
        return sum(self.injected.values())

    def row(self, result: str) -> str:
        injected = ", ".join(f"{count} {what}" for what, count in self.injected.items())
        figures = "; ".join(f"{name}: {value}" for name, value in self.figures.items())
        cells = [self.name, self.runs, injected, result, figures]
        return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def milliseconds(values: Iterable[float], share: float) -> str:
    """The quantile of `values` in seconds, as text."""
    found = sorted(values)
    if not found:
        return "none"
    return f"{found[min(len(found) - 1, int(share * len(found)))] * 1000:.0f} ms"


def _number(name: str) -> tuple[int, str]:
    """`T4 redis, ...` comes before `T10 breaker, ...`."""
    return int(name[1:].partition(" ")[0]), name


def write(page: Path, rows: Mapping[str, str]) -> None:
    """Put `rows` (by case) between the markers; other cases' rows stay."""
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page.name} lacks the markers of the fault report.")
    kept = {m[1]: m[0] for m in re.finditer(r"^\| (T\d+ .*?) \|.*$", inside, re.M)}
    kept.update(rows)
    lines = [kept[name] for name in sorted(kept, key=_number)]
    today = dt.datetime.now(dt.UTC).date()
    table = f"\nLast written: {today}.\n\n{HEAD}" + "\n".join(lines) + "\n"
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")
