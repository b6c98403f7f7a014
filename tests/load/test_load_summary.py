"""The runner reads k6's summary, judges it, and finds breaking points and recoveries."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from bench import servers
from tests.faults.counts import FULL
from tests.load import run, verdict
from tests.load.books import Books
from tests.load.summary import (
    TARGETS,
    LoadSummary,
    Span,
    find_breaking_point,
    measure_recovery,
)

BOOKS = Books(
    usage_rows=1000,
    cached_rows=400,
    cost_usd=0.0001,
    jobs=5,
    job_rows=5,
    reservations=0,
    drifting=0,
    reconciled=True,
)
K6 = run.K6 if run.K6.exists() else shutil.which("k6")
needs_k6 = pytest.mark.skipif(K6 is None, reason="k6 is not installed: make load does")


def span(start: float, p95: float = 1.0, errors: float = 0.0, **more: Any) -> Span:
    return Span(f"slice:{start:g}", start, 2.0, 100, p95, errors, **more)


def metric(**values: float) -> dict[str, Any]:
    return {"values": values}


def summary_text(profile: str = "basic") -> str:
    """What plan.js writes, of ten seconds at 100 a second."""
    steps = [{"name": "steady", "rate": 100, "start": 0, "seconds": 10}]
    latency = {"count": 1000, "p(95)": 1200.0, "p(99)": 2400.0}
    metrics: dict[str, Any] = {
        "latency": {"values": latency},
        "latency{step:steady}": {"values": latency},
        "latency{slice:0}": {"values": {"count": 490, "p(95)": 1500.0}},
        "errors": metric(rate=0.01),
        "errors{slice:0}": metric(rate=0.02),
        "errors{step:steady}": metric(rate=0.0, passes=0, fails=997),
        "answered": metric(count=998),
        "statuses{status:200}": metric(count=998),
        "statuses{status:500}": metric(count=0),
    }
    checks = [
        {"name": "hit: as expected", "passes": 998, "fails": 0},
        {"name": "hit: status 0", "passes": 0, "fails": 2},
    ]
    plan = {"name": profile, "seconds": 10, "slice_s": 5, "steps": steps}
    return json.dumps({"plan": plan, "metrics": metrics, "checks": {"checks": checks}})


@pytest.fixture
def found() -> LoadSummary:
    return LoadSummary.from_json(summary_text())


def missed(rows: list[verdict.Row]) -> set[str]:
    return {name for name, *_, met in rows if not met}


def test_summary__k6s_json__gives_steps_slices_and_problems(found: LoadSummary) -> None:
    assert found.steps == (Span("steady", 0, 10, 1000, 1.2, 0.0, 100, 3),)
    assert found.slices[0] == Span("slice:0", 0, 5, 490, 1.5, 2.0)
    assert found.slices[1].answers == 0
    assert found.problems == {"hit: status 0": 2}
    assert found.statuses() == {"200": 998}


def test_judge__all_as_wanted__meets_every_target(found: LoadSummary) -> None:
    rows = verdict.judge(found, BOOKS)
    assert missed(rows) == set()
    text = verdict.render(found, rows)
    assert "| p95 latency | 1.20 s | < 5 s | met |" in text
    assert "| cost per request | $0.000100 | < $0.005 | met |" in text
    assert "- 2 times hit: status 0" in text


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"usage_rows": 1001}, "billed once"),
        ({"usage_rows": 997}, "billed once"),
        ({"cached_rows": 300}, "cache hit rate"),
        ({"cost_usd": 0.005}, "cost per request"),
        ({"job_rows": 6}, "jobs billed once"),
        ({"drifting": 1}, "ledger"),
        ({"reservations": 1}, "ledger"),
        ({"reconciled": False}, "ledger"),
    ],
)
def test_judge__ledger_not_as_it_should__is_missed(
    found: LoadSummary, changed: dict[str, Any], name: str
) -> None:
    assert missed(verdict.judge(found, replace(BOOKS, **changed))) == {name}


@pytest.mark.parametrize(
    ("name", "values", "row"),
    [
        ("latency", {"count": 1000, "p(95)": 5000, "p(99)": 6000}, "p95 latency"),
        ("latency", {"count": 1000, "p(95)": 1000, "p(99)": 10000}, "p99 latency"),
        ("latency", {"count": 999, "p(95)": 1000, "p(99)": 2000}, "throughput"),
        ("errors", {"rate": 0.05}, "error rate"),
        ("statuses{status:500}", {"count": 1}, "unusual answers"),
    ],
)
def test_judge__figure_beyond_its_target__is_missed(
    found: LoadSummary, name: str, values: dict[str, float], row: str
) -> None:
    changed = {**found.metrics, name: {"values": values}}
    assert missed(verdict.judge(replace(found, metrics=changed), BOOKS)) == {row}


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"p95": 5.1}, "p95 of 5.1 s"),
        ({"error_percent": 6.0}, "6.0 % errors"),
        ({"dropped": 3}, "3 requests not sent: all virtual users wait"),
    ],
)
def test_breaking_point__a_step_breaks__is_named_with_the_last_that_held(
    changed: dict[str, Any], fault: str
) -> None:
    good = [span(0, rate=100.0), span(2, rate=140.0, dropped=2)]
    bad = replace(span(4, rate=140.0), **changed)
    held, broken = find_breaking_point([*good, bad, span(6)])
    assert held == good[1]
    assert broken is not None
    assert broken.fault == fault


def test_breaking_point__no_step_breaks__is_none() -> None:
    assert find_breaking_point([span(0), span(2)]) == (span(2), None)


def recovery(after: list[Span]) -> float | None:
    before = [span(0, 9.0, 50.0), span(6, 1.0), span(8, 1.2)]
    return measure_recovery([*before, span(10, 8.0), *after], begin=10, end=12)


def test_recovery__normal_at_once__takes_no_time() -> None:
    assert recovery([span(12), span(14), span(16)]) == 0


def test_recovery__slow_then_errors__counts_until_both_are_over() -> None:
    after = [span(12, 4.0), span(14), span(16, 1.0, 3.0), *map(span, (18, 20, 22))]
    assert recovery(after) == 6


def test_recovery__a_last_slice_alone_is_normal__is_none() -> None:
    assert recovery([span(12, 4.0), span(14, 4.0), span(16, 4.0), span(18)]) is None


def test_recovery__nothing_before_but_a_warm_up__compares_with_that() -> None:
    slices = [span(0), span(2), span(4, 9.0), span(6), span(8), span(10)]
    assert measure_recovery(slices, begin=4, end=6) == 0


@pytest.mark.parametrize(("quick", "met"), [(True, True), (False, False)])
def test_judge__spike__needs_a_recovery_in_time(quick: bool, met: bool) -> None:
    found = LoadSummary.from_json(summary_text("spike"))
    steps = (
        Span("before", 0, 10, 500, 1.0, 0.0, 50),
        Span("spike", 10, 2, 900, 8.0, 0.0, 500),
        Span("after", 12, 20, 500, 1.0, 0.0, 50),
    )
    slow = 0 if quick else 6
    after = [
        span(12 + 2 * number, 9.0 if number < slow else 1.0) for number in range(10)
    ]
    before = [span(6), span(8)]
    slices = (*before, span(10, 8.0), *after)
    rows = verdict.judge(replace(found, steps=steps, slices=slices), BOOKS)
    assert missed(rows) == (set() if met else {"recovery"})


def test_judge__stress__states_the_breaking_point() -> None:
    found = LoadSummary.from_json(summary_text("stress"))
    steps = (
        Span("step_1", 0, 10, 1000, 1.0, 0.0, 100),
        Span("step_2", 10, 2, 200, 6.0, 0.0, 200),
        Span("after", 12, 8, 200, 1.0, 0.0, 100),
    )
    slices = (span(6), span(8), span(10, 6.0), span(12, 6.0), *map(span, (14, 16, 18)))
    rows = verdict.judge(replace(found, steps=steps, slices=slices), BOOKS)
    assert missed(rows) == set()
    measured = {name: value for name, value, *_ in rows}
    assert measured["breaking point"] == "200 requests/s (p95 of 6.0 s); held 100"
    assert measured["recovery"] == "2 s"


def test_targets__of_scripts_settings_and_guide__are_the_same() -> None:
    assert {name: value for name, value in TARGETS.items() if name != "recovery_s"} == {
        "p95_s": settings.TARGET_P95_S,
        "p99_s": settings.TARGET_P99_S,
        "error_percent": settings.TARGET_ERROR_PERCENT,
        "requests_per_s": settings.TARGET_REQUESTS_PER_S,
        "cache_hit_percent": settings.TARGET_CACHE_HIT_PERCENT,
        "cost_usd": settings.TARGET_COST_USD,
    }
    table = run.PAGE.read_text().partition("## Targets")[2].partition("\n## ")[0]
    numbers = re.findall(r"^\| [\w ]+ \| [<>]=? \$?([\d.]+)", table, re.MULTILINE)
    assert [float(number) for number in numbers] == [*TARGETS.values()]


@pytest.mark.parametrize("profile", run.SCRIPTS)
def test_guide__each_profile__has_a_place_for_its_figures(
    tmp_path: Path, profile: str
) -> None:
    page = tmp_path / "page.md"
    page.write_text(run.PAGE.read_text())
    run.write(profile, "figures", page)
    text = page.read_text()
    assert f"<!-- {profile}: begin -->\nfigures\n<!-- {profile}: end -->" in text


@needs_k6
@pytest.mark.parametrize("profile", run.SCRIPTS)
def test_script__each_profile__is_one_that_k6_accepts(profile: str) -> None:
    script = run.FOLDER / run.SCRIPTS[profile]
    command = [str(K6), "inspect", "-e", "API_KEY=x", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    options = json.loads(done.stdout)
    kinds = {one["executor"] for one in options["scenarios"].values()}
    assert kinds == {"ramping-arrival-rate", "constant-arrival-rate"}
    judged = options["thresholds"].get("latency", [])
    limits = [f"p(95)<{TARGETS['p95_s'] * 1000}", f"p(99)<{TARGETS['p99_s'] * 1000}"]
    assert judged == (limits if profile in verdict.JUDGED else [])


@needs_k6
def test_script__without_a_key__says_what_is_missing() -> None:
    command = [str(K6), "inspect", str(run.FOLDER / run.SCRIPTS["basic"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Set API_KEY to a key of the gateway" in done.stderr


@needs_k6
@pytest.mark.skipif(not FULL, reason="a whole stack under load: FAULTS=full")
def test_run__five_seconds__are_billed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "LOG_DIR", tmp_path)
    found = run.run("basic", tmp_path, {"DURATION": "5", "RATE": "30"})
    assert found.summary.value("latency", "count") > 50
    assert (tmp_path / "report.html").stat().st_size > 100_000
    # A machine that does other things as well may be slow; its books balance even so.
    wanted = {"unusual answers", "billed once", "jobs billed once", "ledger"}
    rows = verdict.judge(found.summary, found.books)
    assert wanted <= {name for name, *_ in rows}
    assert not missed(rows) & wanted
