"""The figures of a flood of refusals, with their targets."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench import report

# The targets: more CPU with the trace, slower served requests, seconds to an alert.
MOST_MORE, MOST_SLOWER, MOST_ALERT_S = 0.05, 1.1, 60.0


@dataclass
class Measured:
    """The figures of a run: with the trace by True, without it by False."""

    cpu_ms: dict[bool, list[float]] = field(
        default_factory=lambda: {True: [], False: []}
    )
    p95_ms: dict[bool, list[float]] = field(
        default_factory=lambda: {True: [], False: []}
    )
    # Served requests that were not answered rightly, and all of them.
    lost: int = 0
    served: int = 0
    traced: int = 0
    # Not refused, or for another reason than the quota.
    others: int = 0
    rows: int = 0
    most_rows: int = 0
    counted: int = 0
    dropped: int = 0
    alert_s: list[float] = field(default_factory=list)

    @property
    def table(self) -> list[tuple[str, str, str, bool]]:
        """Each figure with its target, and whether it is met."""
        pairs = zip(self.cpu_ms[True], self.cpu_ms[False], strict=True)
        more = statistics.median(on / off - 1 for on, off in pairs)
        slower = _median(self.p95_ms[True]) / _median(self.p95_ms[False])
        found = self.rows + self.counted + self.dropped
        return [
            (
                "CPU of a refusal with its trace, beyond one without",
                f"{100 * more:+.1f} % ({_spread(self.cpu_ms[True])} / "
                f"{_spread(self.cpu_ms[False])} ms)",
                f"<= {100 * MOST_MORE:g} %",
                more <= MOST_MORE,
            ),
            (
                "served p95 beside the flood, with its trace and without",
                f"{slower:.2f} times ({_spread(self.p95_ms[True])} / "
                f"{_spread(self.p95_ms[False])} ms)",
                f"<= {MOST_SLOWER:g}",
                slower <= MOST_SLOWER,
            ),
            (
                "served requests lost",
                f"{self.lost} of {self.served}",
                "0",
                not self.lost and self.served > 0,
            ),
            (
                "refused otherwise than for the quota",
                str(self.others),
                "0",
                not self.others,
            ),
            (
                "refusals accounted for",
                f"{self.rows:,} whole, {self.counted:,} counted, {self.dropped:,} dropped",
                f"{self.traced:,} in all, none dropped",
                found == self.traced and not self.dropped,
            ),
            (
                "rows that are whole",
                f"{self.rows:,}",
                f"<= {self.most_rows:,}",
                self.rows <= self.most_rows,
            ),
            (
                "from crossing a threshold to its alert's receipt",
                f"{max(self.alert_s):.1f} s at most ({_spread(self.alert_s)} s)",
                f"<= {MOST_ALERT_S:g} s",
                max(self.alert_s) <= MOST_ALERT_S,
            ),
        ]


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _spread(values: Sequence[float]) -> str:
    """As in '0.52, 0.51 to 0.55': the median and the range."""
    return f"{_median(values):.2f}, {min(values):.2f} to {max(values):.2f}"


def render(found: Measured) -> tuple[str, bool]:
    """The figures as a table, and whether each target is met."""
    return report.compare(found.table)
