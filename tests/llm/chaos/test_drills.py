"""Drills without a gateway: what they expect, why they cannot be run, what they report."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from llm import tasks
from llm.chaos import run_report
from llm.chaos.drills import DRILLS, DrillImpossible, prepare_drill, scene
from llm.chaos.drills import expectations as expect
from llm.chaos.drills.drill import DrillRoute, Evidence, Expectation
from llm.chaos.drills.drill_traffic import DrillAnswer
from llm.models import ChaosRun, JobWorker
from llm.models.chaos import FaultKind, RunState
from tests.fixtures_billing import (
    make_model,
    make_price,
    make_provider,
    make_route,
    unique,
)

ROUTES = (DrillRoute("first", "up"), DrillRoute("second", "up"))


def answers(count: int, **fields: Any) -> list[DrillAnswer]:
    usual: dict[str, Any] = {"status": 200, "ms": 5.0, "provider": "second"}
    return [DrillAnswer(**{**usual, **fields}) for _ in range(count)]


def seen(**fields: Any) -> Evidence:
    return Evidence(ROUTES, **fields)


GOOD = seen(
    before=answers(5, provider="first"),
    during=answers(20),
    after=answers(5, provider="first"),
    recovery_s=1.0,
    tried_first=5,
    billed=30,
    quota_used=30,
    redis="passed by",
    redis_after="ok",
    injected=5,
    jobs={"a": "succeeded"},
    jobs_lost=1,
    job_bills={"a": 1},
)
REFUSED = answers(20, status=503, retry_after="2", provider="")


@pytest.mark.parametrize(
    ("expectation", "bad"),
    [
        (expect.INJECTED, seen()),
        (expect.ALL_ANSWERED, seen(during=answers(1, status=500))),
        (expect.ALL_ANSWERED, seen(during=answers(1, whole=False))),
        (expect.FALLBACK_ANSWERS, seen(during=answers(20, provider="first"))),
        (expect.BREAKER_OPENS, seen(during=answers(20), tried_first=20)),
        (expect.BREAKER_OPENS, seen(during=answers(20), tried_first=0)),
        (expect.RECOVERS, seen(recovery_s=None)),
        (expect.RECOVERS, seen(recovery_s=1e6)),
        (expect.BILLED_ONCE, seen(during=answers(2), billed=3)),
        (expect.BILLED_ONCE, seen(failed_cost=True)),
        (expect.QUOTA_KEPT, seen(during=REFUSED, quota_used=1)),
        (expect.REDIS_BYPASSED, seen(redis="ok", redis_after="ok")),
        (expect.REDIS_BYPASSED, seen(redis="passed by", redis_after="passed by")),
        (
            expect.NOT_SLOWER,
            seen(before=answers(1), during=answers(1, ms=10_000.0)),
        ),
        (expect.ANSWERED_OR_REFUSED, seen(during=answers(1, status=503))),
        (expect.ANSWERED_OR_REFUSED, seen(during=answers(1, whole=False))),
        (expect.ANSWERS_AGAIN, seen(recovery_s=60.0)),
        (expect.NO_DRIFT, seen(drift=True)),
        (expect.JOBS_LOST, seen(jobs={"a": "succeeded"}, jobs_lost=0)),
        (expect.JOBS_DONE, seen(jobs={"a": "succeeded", "b": "dead"})),
        (expect.JOBS_DONE, seen()),
        (expect.JOBS_BILLED, seen(jobs={"a": "succeeded"}, job_bills={"a": 2})),
        (expect.JOBS_BILLED, seen(jobs={"a": "succeeded"})),
    ],
)
def test_expectation__seen_as_promised_or_not__tells_them_apart(
    expectation: Expectation, bad: Evidence
) -> None:
    assert expectation.finding(GOOD)["holds"], expectation
    assert not expectation.finding(bad)["holds"], expectation


def test_refusals__all_and_fast__hold_and_else_not() -> None:
    down = seen(during=REFUSED)
    slow = seen(during=answers(20, status=503, retry_after="2", ms=500.0))
    for one in (expect.ALL_REFUSED, expect.REFUSED_FAST):
        assert one.finding(down)["holds"]
    assert not expect.REFUSED_FAST.finding(slow)["holds"]
    assert not expect.ALL_REFUSED.finding(GOOD)["holds"]


def test_fallback__switched_off__is_named() -> None:
    evidence = seen(during=REFUSED, fallback_off=True)
    found = expect.FALLBACK_ANSWERS.finding(evidence)
    assert not found["holds"]
    assert "'gateway.fallback' is off" in found["seen"]


@pytest.fixture
def boss(db: None) -> User:
    return User.objects.create_superuser(unique("root"), "root@example.com", "x")


@pytest.fixture
def enabled(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Chaos is on, and the gateway is ready."""
    settings.CHAOS_ENABLED = True

    async def ready(url: str) -> dict[str, Any]:
        return {"status": "ok"}

    monkeypatch.setattr(scene, "read_readiness", ready)
    return settings


def test_drill__chaos_is_off__says_how_to_switch_it_on(boss: User) -> None:
    with pytest.raises(DrillImpossible, match="CHAOS_ENABLED"):
        prepare_drill("redis-down", by=boss)


def test_drill__by_no_superuser__is_refused(db: None, enabled: Settings) -> None:
    clerk = User.objects.create_user(unique("clerk"), is_staff=True)
    with pytest.raises(DrillImpossible, match="Only a superuser"):
        prepare_drill("redis-down", by=clerk)


def test_drill__no_gateway__names_the_setting(boss: User, settings: Settings) -> None:
    settings.CHAOS_ENABLED, settings.DRILL_URL = True, "http://127.0.0.1:1/"
    with pytest.raises(DrillImpossible, match=r"http://127\.0\.0\.1:1\. .*DRILL_URL"):
        prepare_drill("redis-down", by=boss)


def test_drill__one_provider_only__says_what_to_add(
    boss: User, enabled: Settings
) -> None:
    model = make_model()
    make_route(model, make_provider())
    with pytest.raises(DrillImpossible, match="Add a route"):
        prepare_drill("primary-down", by=boss, model=model.name)
    assert prepare_drill("both-providers-down", by=boss, model=model.name)


def test_cost__prices_known_or_not__is_a_bound_or_unknown(
    boss: User, enabled: Settings
) -> None:
    model, provider = make_model(), make_provider()
    make_route(model, provider, upstream_model="up")
    found = prepare_drill("redis-down", by=boss, model=model.name)
    assert found.cost_usd is None
    make_price(provider.key, "up", usd="1")
    assert found.cost_usd is not None
    assert 0 < found.cost_usd < 1


def make_worker(host: str) -> JobWorker:
    now = timezone.now()
    return JobWorker.objects.create(
        pk=unique_id(), host=host, pid=7, slots=1, started_at=now, seen_at=now
    )


def unique_id() -> str:
    return str(ChaosRun().pk)


def test_worker_killed__one_worker_or_two__needs_another(
    boss: User, enabled: Settings
) -> None:
    make_route(make_model(), make_provider())
    make_worker("one")
    with pytest.raises(DrillImpossible, match="Start a second worker"):
        prepare_drill("worker-killed", by=boss)
    make_worker("two")
    workers = prepare_drill("worker-killed", by=boss).workers
    assert {str(one) for one in workers} == {"one:7", "two:7"}


def test_schedule__its_drill_cannot_be_run__is_kept_with_the_reason(boss: User) -> None:
    tasks.rehearse("primary-down", boss.username)
    run = ChaosRun.objects.get(name="primary-down")
    assert run.state == RunState.REFUSED
    assert "CHAOS_ENABLED" in run.reason
    assert "CHAOS_ENABLED" in run_report.write_markdown(run)


def test_list__of_the_command__names_every_drill(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("drill", list=True)
    printed = capsys.readouterr().out
    assert all(name in printed for name in DRILLS)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["primary-down", "no-such-drill"])
def test_command__cannot_run__exits_with_2(name: str) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("drill", name, "--as", "nobody", "--yes")
    assert caught.value.returncode == 2


def test_report__words_from_elsewhere__stay_in_their_cell(tmp_path: Path) -> None:
    now = timezone.now()
    run = ChaosRun(
        name="redis-down",
        is_drill=True,
        state=RunState.COMPLETED,
        verdict="failed",
        plan={"fault": FaultKind.STORE_DOWN},
        started_at=now,
        ended_at=now,
        samples=[
            {"phase": "during", "requests": 15, "errors": 5, "p95_ms": 9},
            {"phase": "during", "requests": 5, "errors": 0, "p95_ms": None},
        ],
        findings=[{"expected": "It | <b>works</b>", "seen": "no\nway", "holds": False}],
    )
    text = run_report.write_markdown(run)
    assert "| It \\| &lt;b>works&lt;/b> | no way | **FAILED** |" in text
    assert (
        "- SLO effect, during: 75.0% of 20 requests answered, 95% within 9 ms" in text
    )
    assert json.loads(json.dumps(run_report.write_json(run)))["verdict"] == "failed"
