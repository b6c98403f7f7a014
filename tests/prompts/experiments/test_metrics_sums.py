"""What the ledger tells of versions and arms."""

import json
import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, connection

from billing.models import Usage
from llm.prompting import metrics, queries
from llm.prompting.metrics import Figures, Window
from prompts.experiments.statistics import ArmSample
from tests.prompts.experiments.rows import NOW, rows_for, said_of
from tests.tampering import tampering
from valuecanvas.core.ids import uuid7

pytestmark = pytest.mark.django_db
KEY = "canvas.generate"
EXPERIMENT = Window(KEY, NOW - timedelta(days=1), NOW, "short")
VERSIONS = Window(KEY, NOW - timedelta(days=1), NOW)
AT = NOW - timedelta(hours=2)


def arms() -> None:
    """Arm a: 10 requests of 5 users, one failed. Arm b: 4 of 4, and others' rows."""
    rows_for(KEY, "short:a", 10, at=AT, users=5, failed=1, prompt_version=1)
    rows_for(KEY, "short:b", 4, at=AT, latency_ms=800, prompt_version=2)
    rows_for(KEY, "shorter:a", 3, at=AT, prompt_version=1)
    rows_for(KEY, "", 3, at=AT, prompt_version=1)
    rows_for("other", "short:a", 3, at=AT, prompt_version=1)
    rows_for(KEY, "short:a", 3, at=NOW, prompt_version=1)
    rows_for(KEY, "short:a", 3, at=NOW - timedelta(days=2), prompt_version=1)


def test_figures__of_arms__are_of_this_experiment_and_time_only() -> None:
    arms()
    [a, b] = metrics.figures(EXPERIMENT)
    assert a == Figures(
        name="a",
        requests=10,
        users=5,
        failed=1,
        cost_usd=Decimal("0.02"),
        prompt_tokens=100,
        completion_tokens=50,
        p50_ms=400,
        p95_ms=400,
    )
    assert a.error_rate == 0.1
    assert a.cost_each == Decimal("0.02") / 9
    assert (b.name, b.requests, b.users, b.p50_ms) == ("b", 4, 4, 800)


def test_figures__of_versions__newest_first() -> None:
    arms()
    found = metrics.figures(VERSIONS)
    assert [(one.name, one.requests) for one in found] == [("2", 4), ("1", 16)]


def test_figures__nothing_there__is_nothing() -> None:
    assert metrics.figures(EXPERIMENT) == []
    assert Figures("a").error_rate == 0
    assert Figures("a").cost_each == 0


def test_figures__clients_gone_and_stored_answers__judge_no_arm() -> None:
    rows_for(KEY, "short:a", 4, at=AT)
    rows_for(KEY, "short:a", 2, at=AT, cached=True, cost_usd=0, latency_ms=1)
    gone = rows_for(KEY, "short:a", 2, at=AT, latency_ms=9000)
    with tampering():
        Usage.objects.filter(pk__in=[one.pk for one in gone]).update(
            status="client_gone"
        )
    [a] = metrics.figures(EXPERIMENT)
    assert (a.requests, a.cached, a.gone, a.failed) == (8, 2, 2, 0)
    assert (a.error_rate, a.p50_ms, a.p95_ms) == (0, 400, 400)
    found = metrics.samples(EXPERIMENT, ["a"]).samples
    assert found["error_rate"]["a"].count == 6
    assert found["latency"]["a"].count == 4
    assert found["cost"]["a"].mean == pytest.approx(0.002)


def test_figures__corrections__are_money_but_no_requests() -> None:
    [row] = rows_for(KEY, "short:a", 1, at=AT)
    correction = Usage.objects.get(pk=row.pk)
    correction.pk, correction.corrects = uuid7(), row.pk
    correction.status, correction.cost_usd = "correction", Decimal("-0.0005")
    correction.save(force_insert=True)
    [a] = metrics.figures(EXPERIMENT)
    assert (a.requests, a.cost_usd, a.failed) == (1, Decimal("0.0015"), 0)
    assert metrics.samples(EXPERIMENT, ["a"]).samples["cost"]["a"].count == 1


def test_figures__feedback__is_counted_with_its_requests() -> None:
    rows = rows_for(KEY, "short:a", 10, at=AT)
    said_of(rows[:3], 1.0)
    said_of(rows[3:4], -1.0)
    [a] = metrics.figures(EXPERIMENT)
    assert (a.feedback, a.feedback_count) == (0.5, 4)
    assert metrics.samples(EXPERIMENT, ["a"]).samples["feedback"]["a"].total == 2


def test_samples__of_users__are_the_sums_that_statistics_need() -> None:
    """Three requests of one user, one of another: 100, 200, 300 and 400 ms."""
    rows_for(
        KEY,
        "short:a",
        3,
        at=AT,
        users=1,
        latency_ms=lambda i: 100 * (i + 1),
        prefix="x",
    )
    rows_for(KEY, "short:a", 1, at=AT, latency_ms=400, prefix="y")
    found = metrics.samples(EXPERIMENT, ["a", "b"])
    assert found.samples["latency"]["a"] == ArmSample(
        units=2,
        count=4,
        total=1000,
        squares=300_000,
        unit_squares=600**2 + 400**2,
        unit_cross=600 * 3 + 400,
        unit_counts=10,
    )
    assert found.samples["latency"]["b"] == ArmSample()
    assert found.users == {"a": 2, "b": 0}


def test_samples__rows_without_a_subject__are_told_apart_by_user() -> None:
    rows_for(KEY, "short:a", 4, at=AT, subject=None, user_id=lambda i: f"u{i % 2}")
    assert metrics.samples(EXPERIMENT, ["a"]).users == {"a": 2}


def test_timeline__by_hour__has_what_each_arm_did() -> None:
    first = rows_for(KEY, "short:a", 2, at=AT, failed=1, latency_ms=300)
    said_of(first[:1], 0.5)
    rows_for(KEY, "short:a", 1, at=AT + timedelta(hours=1))
    rows_for(KEY, "short:b", 1, at=AT)
    points = metrics.timeline(EXPERIMENT)
    assert [(one.at, one.name, one.requests) for one in points] == [
        (AT, "a", 2),
        (AT, "b", 1),
        (AT + timedelta(hours=1), "a", 1),
    ]
    assert (points[0].failed, points[0].latency_ms, points[0].feedback) == (1, 300, 0.5)
    assert points[0].cost_usd == pytest.approx(0.004)


def test_steps__of_a_window__are_hours_or_days() -> None:
    hours = metrics.steps(EXPERIMENT)
    assert (len(hours), hours[0], hours[-1]) == (24, EXPERIMENT.since, NOW - timedelta(hours=1))  # fmt: skip
    long = Window(KEY, NOW - timedelta(days=7), NOW)
    assert (long.step, len(metrics.steps(long))) == ("day", 8)


def test_figures__ledger_too_busy__is_an_error_and_no_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows_for(KEY, "short:a", 1, at=AT)
    slow = {True: "SELECT pg_sleep(60)", False: ""}
    monkeypatch.setattr(queries, "FIGURES", slow)
    monkeypatch.setattr(metrics, "TIMEOUT_MS", 20)
    with pytest.raises(DatabaseError):
        metrics.figures(EXPERIMENT)


@pytest.mark.parametrize("window", [VERSIONS, EXPERIMENT])
@pytest.mark.parametrize("name", ["FIGURES", "SAMPLES", "TIMELINE"])
def test_queries__large_ledger__read_it_by_index(name: str, window: Window) -> None:
    rows_for("other", "", 3000, at=AT)
    rows = rows_for(KEY, "short:a", 20, at=AT)
    said_of(rows, 1.0)
    said_of(rows_for("other", "", 2000, at=AT), 1.0)
    values = {
        "prompt": window.prompt,
        "since": window.since,
        "until": window.until,
        "step": "hour",
        "prefix": "short:",
    }
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE llm_usage")
        cursor.execute("ANALYZE llm_feedback")
        statement = getattr(queries, name)[bool(window.experiment)]
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", values)
        plan = json.dumps(cursor.fetchone()[0])
    # A partition's own index.
    assert re.search(r'"Index Name": "llm_usage\w*_prompt', plan)
    assert "llm_feedback_prompt" in plan
    # Only partitions without rows are read whole.
    for table in re.findall(r'"Seq Scan"[^{}]*?"Relation Name": "(\w+)"', plan):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT EXISTS (SELECT FROM {table})")  # noqa: S608 - a name of the plan
            assert cursor.fetchone() == (False,), table
