"""The figures of the queue: in Python, over REST, for Prometheus."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest

from llm.jobs import actions
from llm.jobs.metrics import QueueCollector, queue_figures
from llm.models import Job, JobState
from tests.admin.job_rows import make_batch, make_job, make_worker
from tests.prompts.api.conftest import key_client, person

pytestmark = pytest.mark.django_db
URL = "/api/queue/metrics"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def ago(span: timedelta) -> dict[str, Any]:
    """Queued and due since then."""
    return {"run_at": timezone.now() - span}


def test_figures__empty_queue__are_zero() -> None:
    found = queue_figures()
    assert (found.depth, found.ended, found.failures, found.workers) == ([], [], [], [])
    assert (found.oldest_seconds, found.retries, found.waiting, found.dead) == (0, 0, 0, 0)  # fmt: skip
    assert (found.per_minute(5), found.per_minute(60)) == (0, 0)


def test_depth__jobs_of_each_state__are_open_ones_and_dead_letters() -> None:
    for state in JobState:
        make_job(state)
    make_job(type="embedding")
    found = queue_figures()
    assert [(one.type, one.state, one.count) for one in found.depth] == [
        ("completion", "queued", 1),
        ("completion", "running", 1),
        ("embedding", "queued", 1),
        ("completion", "dead", 1),
    ]
    assert found.dead == 1
    assert found.count(JobState.QUEUED) == 2


def test_queued__again_or_for_a_limit__are_counted_apart() -> None:
    make_job(attempts=2, error_code="upstream_error")
    make_job(error_code="insufficient_quota")
    make_job(attempts=1, error_code="budget_exceeded")
    make_job(JobState.RUNNING, attempts=2)
    found = queue_figures()
    assert (found.retries, found.waiting) == (2, 2)


def test_oldest__of_several__is_the_one_whose_time_came_first() -> None:
    make_job(**ago(MINUTE))
    make_job(**ago(-HOUR), due=False)
    make_job(JobState.RUNNING, **ago(HOUR))
    assert 60 <= queue_figures().oldest_seconds < 90
    # No worker is there that would make it due.
    make_job(**ago(2 * MINUTE), due=False)
    assert 120 <= queue_figures().oldest_seconds < 150


def test_oldest__lines_of_a_batch__count_when_they_are_next() -> None:
    batch = make_batch()
    line = make_job(batch=batch, line=2, due=False, **ago(HOUR))
    assert queue_figures().oldest_seconds == 0
    Job.objects.filter(pk=line.pk).update(due=True)
    assert queue_figures().oldest_seconds >= 3600


def test_oldest__of_a_paused_type__does_not_count() -> None:
    make_job(**ago(HOUR))
    make_job(type="embedding", **ago(MINUTE))
    actions.pause("completion", by="olga", reason="The provider is down.")
    found = queue_figures()
    assert 60 <= found.oldest_seconds < 90
    assert [one.reason for one in found.paused] == ["The provider is down."]


def test_ended__in_the_last_hour__by_minute_and_state() -> None:
    now = timezone.now()
    for minutes, state in (
        (0, "succeeded"),
        (0, "failed"),
        (30, "succeeded"),
        (61, "dead"),
    ):
        make_job(state, finished_at=now - minutes * MINUTE)
    found = queue_figures()
    assert sorted(one.state for one in found.ended) == [
        "failed",
        "succeeded",
        "succeeded",
    ]
    assert 2 / 5 <= found.per_minute(5) <= 2 / 4
    assert 3 / 60 <= found.per_minute(60) <= 0.06


def test_failures__of_the_last_day__most_frequent_first() -> None:
    now = timezone.now()
    for code, state in (
        ("a", "failed"),
        ("b", "dead"),
        ("b", "failed"),
        ("c", "cancelled"),
    ):
        make_job(state, error_code=code)
    make_job("failed", error_code="old", finished_at=now - timedelta(days=2))
    found = queue_figures().failures
    assert [(one.error_code, one.count) for one in found] == [("b", 2), ("a", 1)]


def test_workers__unseen_for_a_while__are_gone() -> None:
    worker = make_worker()
    make_worker(host="lost", seen_at=timezone.now() - timedelta(seconds=16))
    assert queue_figures().workers == [worker]


def test_figures__of_more_jobs__need_no_more_queries() -> None:
    for number in range(2):
        for state in JobState:
            make_job(state)
        make_worker(pid=number)
        with CaptureQueriesContext(connection) as queries:
            queue_figures()
        assert len(queries) == 8


def metrics() -> str:
    registry = CollectorRegistry()
    registry.register(QueueCollector())
    return generate_latest(registry).decode()


def test_prometheus__jobs_and_workers__are_told() -> None:
    assert "valuecanvas_jobs_oldest_seconds 0.0" in metrics()
    make_job(**ago(HOUR))
    make_job(JobState.DEAD)
    make_worker()
    text = metrics()
    assert "valuecanvas_jobs_oldest_seconds 36" in text
    assert 'valuecanvas_jobs{state="queued",type="completion"} 1.0' in text
    assert 'state="dead"' not in text
    assert "valuecanvas_jobs_dead 1.0" in text
    assert "valuecanvas_job_workers 1.0" in text
    assert "valuecanvas_job_slots 10.0" in text


def test_prometheus__database_gone__answers_without_them() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL search_path = nowhere")
        cursor.execute("SAVEPOINT before")
        assert "valuecanvas_jobs_oldest_seconds " not in metrics().replace("# ", "#")
        cursor.execute("ROLLBACK TO before")


def test_rest__with_the_scope_or_the_right__tells_all_figures() -> None:
    job = make_job(JobState.DEAD, error_code="upstream_error")
    make_worker()
    actions.pause("embedding", by="olga", reason="Why.")
    for client in (key_client("queue:read"), person("llm.view_job")):
        found = client.get(URL).json()
        assert found["depth"] == [{"type": "completion", "state": "dead", "count": 1}]
        assert found["dead_letters"] == 1
        assert found["failures_of_last_day"] == [{"error_code": "upstream_error", "count": 1}]  # fmt: skip
        assert found["ended_per_minute"].keys() == {"last_5_minutes", "last_60_minutes"}
        assert [one["cpu_percent"] for one in found["workers"]] == [12.5]
        assert [one["type"] for one in found["paused"]] == ["embedding"]
        assert str(job.pk) not in str(found)


@pytest.mark.parametrize("scopes", [("llm",), ("prompts:read", "flags:read")])
def test_rest__without_the_scope__is_refused(scopes: tuple[str, ...]) -> None:
    answer = key_client(*scopes).get(URL)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "missing_scope"
    assert person("llm.view_jobbatch").get(URL).status_code == 403
