"""The live page of the queue, and the pauses of types."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from llm.models import Job, JobPause, JobState
from tests.admin.job_rows import make_job, make_worker
from tests.browser.planting import PAYLOADS

pytestmark = pytest.mark.django_db
QUEUE = "/admin/llm/job/queue/"


def act(name: str, job_type: str = "completion") -> str:
    return reverse(f"admin:llm_queue_{name}", args=[job_type])


def shown(client: Client) -> str:
    answer = client.get(QUEUE)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_queue__empty__says_that_no_worker_is_there(operator: Client) -> None:
    text = shown(operator)
    assert "No worker runs jobs" in text
    assert "No job ended in the last hour." in text
    for job_type in ("canvas_generation", "completion", "embedding"):
        assert act("pause", job_type) in text


def test_queue__with_jobs_and_workers__shows_their_figures(operator: Client) -> None:
    make_worker(host="worker-7", running=4, slots=10, cpu=12.5)
    make_job(run_at=timezone.now() - timedelta(seconds=90))
    for state in ("succeeded", "succeeded", "failed", "dead"):
        make_job(state, error_code="" if state == "succeeded" else "upstream_timeout")
    answer = operator.get(QUEUE)
    text = answer.content.decode()
    assert "worker-7:17" in text
    assert "4 of 10" in text
    assert "upstream_timeout" in text
    assert "No worker runs jobs" not in text
    figures = {one["title"]: one["value"] for one in answer.context["cards"]}
    assert figures["Queued"] == "1"
    assert figures["Dead letters"] == "1"
    assert figures["Oldest"] == "1\u00a0minute"
    assert dict(answer.context["chart"].series)["Succeeded"] == 2
    assert answer.context["chart"].total == 4


def test_queue__types_of_jobs_without_code__are_shown_and_cannot_be_paused(
    operator: Client,
) -> None:
    make_job(type="gone")
    text = shown(operator)
    assert "not registered" in text
    assert act("pause", "gone") not in text
    assert operator.get(act("pause", "gone")).status_code == 404


def test_queue__asks_for_itself__and_replaces_only_its_own_figures(
    operator: Client,
) -> None:
    text = shown(operator)
    assert f'hx-get="{QUEUE}"' in text
    assert 'hx-trigger="every 5s"' in text
    assert 'hx-select-oob="#queue"' in text
    assert text.count('id="queue"') == 1


def test_pause__without_a_reason__is_asked_for(operator: Client) -> None:
    assert operator.get(act("pause")).status_code == 200
    answer = operator.post(act("pause"), {"reason": " "})
    assert answer.status_code == 422
    assert "Give a reason" in answer.content.decode()
    assert not JobPause.objects.exists()


def test_pause_and_resume__with_reasons__are_in_the_audit_log(operator: Client) -> None:
    answer = operator.post(act("pause"), {"reason": "The provider is down."})
    assert answer["Location"] == QUEUE
    pause = JobPause.objects.get()
    assert (pause.type, pause.by) == ("completion", "olga")
    text = shown(operator)
    assert "The provider is down." in text
    assert act("resume") in text
    assert act("pause") not in text
    operator.post(act("resume"), {"reason": "It is back."})
    assert not JobPause.objects.exists()
    messages = LogEntry.objects.order_by("pk").values_list("change_message", flat=True)
    assert [*messages] == [
        "Paused: completion. The provider is down.",
        "Resumed: completion. It is back.",
    ]
    assert "Resumed: completion." in operator.get("/admin/").content.decode()


def test_resume__that_somebody_else_did__says_so(operator: Client) -> None:
    answer = operator.post(act("resume"), {"reason": "Why."})
    assert answer.status_code == 422
    assert "is not paused" in answer.content.decode()


@pytest.mark.parametrize(
    ("who", "looks", "pauses"),
    [
        ("boss", 200, 302),
        ("operator", 200, 302),
        ("auditor", 200, 403),
        ("newcomer", 403, 403),
    ],
)
def test_queue__each_kind_of_user__may_what_it_should(
    who: str, looks: int, pauses: int, request: pytest.FixtureRequest
) -> None:
    client: Client = request.getfixturevalue(who)
    assert client.get(QUEUE).status_code == looks
    for name in ("pause", "resume"):
        answer = client.post(act(name), {"reason": "Why."})
        assert answer.status_code == pauses, name
    if looks == 200:
        assert (act("pause") in shown(client)) is (pauses == 302)


def test_queue__more_jobs__needs_no_more_queries(operator: Client) -> None:
    counts = []
    for number in range(2):
        for state in JobState:
            make_job(state, type=f"type-{number}", error_code=f"code-{number}")
        make_worker(pid=number)
        with CaptureQueriesContext(connection) as queries:
            shown(operator)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12


def test_queue__markup_in_each_text__is_escaped(operator: Client) -> None:
    evil = PAYLOADS[1][:40]
    make_job(type=evil)
    make_job("failed", error_code=PAYLOADS[1][:80])
    make_worker(host=PAYLOADS[1])
    JobPause.objects.create(type=evil, reason=PAYLOADS[0], by=PAYLOADS[1])
    text = shown(operator)
    assert "&lt;x-planted" in text
    assert "<x-planted" not in text


def test_pause__queued_jobs__are_not_taken(operator: Client) -> None:
    make_job()
    operator.post(act("pause"), {"reason": "Why."})
    assert Job.objects.get().state == JobState.QUEUED


def test_sidebar__queue_page__is_lit_and_hidden_without_the_right(
    operator: Client, newcomer: Client
) -> None:
    def titles(client: Client, url: str) -> list[Any]:
        groups = client.get(url).context["sidebar_navigation"]
        return [one for group in groups for one in group["items"]]

    lit = [one["title"] for one in titles(operator, QUEUE) if one["active"]]
    assert lit == ["Queue"]
    assert "Queue" not in [one["title"] for one in titles(newcomer, "/admin/")]
