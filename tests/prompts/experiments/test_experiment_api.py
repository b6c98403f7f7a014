"""Figures of versions, and experiments with their results, over REST."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from prompts.experiments import service
from prompts.models import Experiment
from tests.fixtures_billing import make_api_key
from tests.prompts.experiments.rows import (
    make_actor,
    make_draft,
    make_prompt,
    rows_for,
    said_of,
)

pytestmark = pytest.mark.django_db


class Caller:
    """Sends requests with a key."""

    def __init__(self, *scopes: str) -> None:
        _, key = make_api_key(scopes=list(scopes))
        self._headers = {"Authorization": f"Bearer {key}"}

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        answer = Client().get(path, query, headers=self._headers)
        assert answer.status_code == status, answer.content
        return answer.json()


@pytest.fixture
def caller() -> Caller:
    return Caller("prompts:read")


@pytest.fixture
def running() -> Experiment:
    draft = make_draft(hypothesis="Shorter is better.")
    return service.start(draft, actor=make_actor())


def fill(experiment: Experiment, number: int = 300) -> None:
    now, key = timezone.now(), experiment.prompt.key
    for arm, score in (("a", -0.5), ("b", 0.5)):
        rows = rows_for(
            key, f"{experiment.key}:{arm}", number, at=now, prompt_version=1 + (arm == "b"),
        )  # fmt: skip
        said_of(rows[::2], score)
        said_of(rows[1::2], 0)


def test_metrics__of_a_prompt__are_by_version_and_time(caller: Caller) -> None:
    prompt = make_prompt("canvas.generate")
    old = rows_for(prompt.key, "", 4, prompt_version=1, failed=1)
    said_of(old[:1], 1)
    rows_for(prompt.key, "", 2, prompt_version=2, latency_ms=900)
    rows_for(prompt.key, "", 9, prompt_version=2, at=timezone.now() - timedelta(days=8))
    found = caller.get("/api/prompts/canvas.generate/metrics")
    assert (found["key"], found["step"]) == ("canvas.generate", "day")
    [second, first] = found["versions"]
    assert (second["version"], second["requests"], second["p95_ms"]) == (2, 2, 900)
    assert first == {
        "version": 1,
        "requests": 4,
        "users": 4,
        "failed": 1,
        "error_rate": 0.25,
        "cached": 0,
        "cost_usd": "0.008000",
        "cost_per_request_usd": "0.002667",
        "prompt_tokens": 40,
        "completion_tokens": 20,
        "p50_ms": 400,
        "p95_ms": 400,
        "feedback": 1.0,
        "feedback_count": 1,
    }
    assert sum(point["requests"] for point in found["timeline"]) == 6


def test_metrics__of_a_span__are_of_it_only(caller: Caller) -> None:
    prompt = make_prompt("canvas.generate")
    rows_for(prompt.key, "", 2, prompt_version=1)
    now = timezone.now()
    span = {
        "since": (now - timedelta(days=2)).isoformat(),
        "until": (now - timedelta(days=1)).isoformat(),
    }
    found = caller.get("/api/prompts/canvas.generate/metrics/", **span)
    assert (found["versions"], found["timeline"], found["step"]) == ([], [], "hour")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"since": "yesterday"}, "since"),
        ({"until": "0001-01-01T00:00:00Z"}, "until"),
        ({"since": "2026-01-01T00:00:00Z", "until": "2025-01-01T00:00:00Z"}, "since"),
        ({"since": "2025-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "since"),
    ],
)
def test_metrics__wrong_span__is_refused(
    caller: Caller, query: dict[str, str], param: str
) -> None:
    make_prompt("canvas.generate")
    error = caller.get("/api/prompts/canvas.generate/metrics", 400, **query)["error"]
    assert error["param"] == param


def test_metrics__no_such_prompt__is_not_found(caller: Caller) -> None:
    error = caller.get("/api/prompts/nothing/metrics", 404)["error"]
    assert error["code"] == "prompt_not_found"


def test_list__experiments__has_their_arms(caller: Caller, running: Experiment) -> None:
    make_draft()
    found = caller.get("/api/experiments", prompt=running.prompt.key)
    [shown] = found["data"]
    assert found["next_cursor"] is None
    assert (shown["key"], shown["state"]) == (running.key, "running")
    assert shown["arms"] == [
        {"name": "a", "version": 1, "model": "", "weight": 5000, "control": True},
        {"name": "b", "version": 2, "model": "", "weight": 5000, "control": False},
    ]
    assert len(caller.get("/api/experiments", state="draft")["data"]) == 1
    assert "results" not in shown


def test_list__more_experiments__no_more_queries(caller: Caller) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            caller.get("/api/experiments")
        return len(seen)

    make_draft()
    before = queries()
    for _ in range(4):
        make_draft()
    assert queries() == before


def test_list__in_pages__goes_on_where_it_was(caller: Caller) -> None:
    keys = sorted(make_draft().key for _ in range(3))
    first = caller.get("/api/experiments", limit=2)
    rest = caller.get("/api/experiments", limit=2, cursor=first["next_cursor"])
    assert [one["key"] for one in (*first["data"], *rest["data"])] == keys


def test_detail__draft__has_no_results(caller: Caller) -> None:
    draft = make_draft()
    assert caller.get(f"/api/experiments/{draft.key}")["results"] is None


def test_detail__running__has_a_verdict(caller: Caller, running: Experiment) -> None:
    fill(running)
    found = caller.get(f"/api/experiments/{running.key}")
    assert found["hypothesis"] == "Shorter is better."
    results = found["results"]
    assert [one["arm"] for one in results["arms"]] == ["a", "b"]
    first = results["verdicts"][0]
    assert (first["metric"], first["kind"], first["winner"]) == (
        "feedback",
        "better",
        "b",
    )
    [compared] = first["comparisons"]
    assert compared["low"] > 0
    assert compared["p"] < 0.05
    assert {one["metric"] for one in results["verdicts"]} == {
        "feedback", "error_rate", "cost", "latency",
    }  # fmt: skip
    assert results["split_wrong"] is False


def test_detail__few_users__has_no_interval(
    caller: Caller, running: Experiment
) -> None:
    fill(running, 4)
    first = caller.get(f"/api/experiments/{running.key}")["results"]["verdicts"][0]
    assert first["kind"] == "early"
    assert first["comparisons"][0]["low"] is None


def test_detail__no_such__is_not_found(caller: Caller) -> None:
    error = caller.get("/api/experiments/nothing", 404)["error"]
    assert error["code"] == "experiment_not_found"


@pytest.mark.parametrize(
    "path", ["/api/prompts/x/metrics", "/api/experiments", "/api/experiments/x"]
)
def test_access__without_scope_or_right__is_refused(path: str) -> None:
    assert Client().get(path).status_code == 401
    assert Caller("llm").get(path, 403)["error"]["code"] == "missing_scope"
    client = Client()
    client.force_login(User.objects.create_user("nora", is_staff=True))
    assert client.get(path).status_code == 403


def test_access__person_with_the_right__may_look(running: Experiment) -> None:
    person = User.objects.create_user("arno", is_staff=True)
    person.user_permissions.set(
        Permission.objects.filter(codename__in=["view_prompt", "view_experiment"])
    )
    client = Client()
    client.force_login(person)
    assert client.get(f"/api/experiments/{running.key}").status_code == 200
    path = f"/api/prompts/{running.prompt.key}/metrics"
    assert client.get(path).status_code == 200
