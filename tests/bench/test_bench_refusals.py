"""The flood of refusals: a small one, and what its page says."""

from pathlib import Path
from typing import Any

import pytest

from bench import refusal_figures, refusals, report
from bench.answers import Answer, problem
from bench.refusal_figures import Measured
from bench.refusals import Sizes
from bench.run import PAGE

SMALL = Sizes(rounds=1, count=80, rate=40, seconds=1.0, alerts=0)
MET: dict[str, Any] = {
    "cpu_ms": {True: [0.52, 0.51], False: [0.50, 0.50]},
    "p95_ms": {True: [10.5, 10.7], False: [10.2, 10.9]},
    "served": 400,
    "traced": 1000,
    "rows": 160,
    "most_rows": 320,
    "counted": 840,
    "alert_s": [3.0, 16.2],
}


def test_page__all_targets_met__has_the_figures() -> None:
    text, met = refusal_figures.render(Measured(**MET))
    assert met
    assert "+3.0 % (0.52, 0.51 to 0.52 / 0.50, 0.50 to 0.50 ms)" in text
    assert "160 whole, 840 counted, 0 dropped | 1,000 in all" in text
    assert "16.2 s at most" in text
    assert "**missed**" not in text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cpu_ms": {True: [0.6], False: [0.5]}}, "+20.0 %"),
        ({"p95_ms": {True: [20.0], False: [10.0]}}, "2.00 times"),
        ({"lost": 1}, "1 of 400"),
        ({"others": 2}, "quota | 2 |"),
        ({"counted": 839}, "839 counted"),
        ({"rows": 321, "counted": 679}, "| 321 |"),
        ({"alert_s": [61.0]}, "61.0 s at most"),
    ],
)
def test_page__target_missed__says_which(fields: dict[str, Any], words: str) -> None:
    text, met = refusal_figures.render(Measured(**MET | fields))
    assert not met
    [line] = [one for one in text.splitlines() if "**missed**" in one]
    assert words in line


def test_answer__refused__is_right_by_its_code() -> None:
    body = b'{"error": {"code": "insufficient_quota"}}'
    answer = Answer(429, {}, body)
    assert problem("refused", answer, expected="insufficient_quota") == ""
    assert "insufficient_quota" in problem("refused", answer, expected="other")
    assert problem("refused", Answer(503, {}, body), expected="x").startswith("status")


def test_flood__small__is_accounted_for_and_loses_nothing() -> None:
    found = refusals.run(SMALL)
    assert (found.lost, found.others, found.dropped) == (0, 0, 0)
    assert found.served == 40
    # A round and a warm-up of the cost, and a second beside served requests.
    assert found.traced == 200 + 80 + 40
    assert found.rows + found.counted == found.traced
    assert 0 < found.rows <= found.most_rows
    assert found.counted > 0


def test_write__the_markers_of_refusals__are_in_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text())
    report.write(page, "Figures.", begin=refusals.BEGIN, end_mark=refusals.END)
    assert f"{refusals.BEGIN}\nFigures.\n{refusals.END}" in page.read_text()
