"""Jobs from their submission to their answer."""

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.utils import timezone

from billing.models import IdempotencyKey, Refusal, Reservation, Usage
from llm.jobs import actions, status, submit
from llm.jobs.worker import sweep
from llm.models import BreakerOverride, Job, JobWorker
from llm.runtime import Runtime
from tests.live.inside import Exchange
from tests.live.jobs.conftest import JOBS, JobsApi, working
from tests.live.world import PATIENCE_S
from valuecanvas.core.errors import InvalidRequest

pytestmark = pytest.mark.live


async def test_job__submitted_and_run__has_its_answer_and_one_bill(
    api: JobsApi, gateway: Runtime
) -> None:
    model = api.world.serve("echo").model
    job_id = await api.submit(model, tags=["one"])
    assert (await api.show(job_id))["state"] == "queued"
    early = await api.call(f"/{job_id}/result")
    assert (early.status, early.error["code"]) == (409, "job_not_finished")
    async with working(gateway):
        job = await api.wait(job_id)
    assert (job["state"], job["attempts"], job["progress"]) == ("succeeded", 1, 100)
    answer = await api.call(f"/{job_id}/result")
    assert answer.json["choices"][0]["message"]["content"] == "Say hello"
    rows = api.world.db(lambda: list(Usage.objects.filter(job=job_id)))
    assert [str(row.pk) for row in rows] == [job["requestId"]]
    assert float(rows[0].cost_usd) == job["costUsd"] > 0


async def test_job__of_a_provider_that_fails__is_a_dead_letter_after_three_tries(
    api: JobsApi, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm.jobs.worker.execution.BACKOFF_S", 0.01)
    model = api.world.serve("status-500").model
    job_id = await api.submit(model)
    async with working(gateway):
        job = await api.wait(job_id)
    assert (job["state"], job["attempts"]) == ("dead", 3)
    assert job["error"]["code"] == "upstream_error"
    assert job["costUsd"] == 0
    answer = await api.call(f"/{job_id}/result")
    assert (answer.status, answer.error["code"]) == (409, "job_not_answered")
    history = api.row(job_id).history
    assert [one["attempt"] for one in history] == [1, 2, 3]


def bills(api: JobsApi, job_id: str) -> list[Usage]:
    return api.world.db(lambda: list(Usage.objects.filter(job=job_id)))


async def test_answer__once_stored__is_not_kept_for_the_idempotency_key_too(
    api: JobsApi, gateway: Runtime
) -> None:
    job_id = await api.submit(api.world.serve("echo").model)
    async with working(gateway):
        job = await api.wait(job_id)
    kept = IdempotencyKey.objects.filter(request_id=job["requestId"])
    assert not api.world.db(kept.exists)
    result = api.world.db(lambda: bytes(Job.objects.get(pk=job_id).jobresult.sealed))
    assert b"Say hello" not in result


async def test_job__of_a_request_that_is_refused__fails_at_once(
    api: JobsApi, gateway: Runtime
) -> None:
    job_id = await api.submit(api.world.serve("status-400").model)
    async with working(gateway):
        job = await api.wait(job_id)
    assert (job["state"], job["attempts"]) == ("failed", 1)
    retried = await api.call(f"/{job_id}/retry", "POST")
    assert (retried.status, retried.json["state"]) == (200, "queued")
    assert retried.json["error"] is None


async def test_queued_job__cancelled__never_runs(
    api: JobsApi, gateway: Runtime
) -> None:
    model = api.world.serve("echo").model
    job_id = await api.submit(model)
    answer = await api.call(f"/{job_id}/cancel", "POST")
    assert (answer.status, answer.json["state"]) == (200, "cancelled")
    other = await api.submit(model)
    async with working(gateway):
        await api.wait(other)
    job = await api.show(job_id)
    assert (job["state"], job["attempts"]) == ("cancelled", 0)
    again = await api.call(f"/{job_id}/cancel", "POST")
    assert again.json["state"] == "cancelled"


async def test_running_job__cancelled__ends_and_its_prompt_is_billed(
    api: JobsApi, gateway: Runtime
) -> None:
    job_id = await api.submit(api.world.serve("hang").model)
    async with working(gateway):
        await api.wait(job_id, lambda job: job["state"] == "running")
        await until(lambda: api.world.db(Reservation.objects.exists))
        await asyncio.sleep(0.3)
        await api.call(f"/{job_id}/cancel", "POST")
        job = await api.wait(job_id, lambda job: job["costUsd"] > 0)
    (row,) = bills(api, job_id)
    assert (row.status, str(row.pk)) == ("client_gone", job["requestId"])
    assert (job["state"], job["costUsd"]) == ("cancelled", float(row.cost_usd))


async def test_job__without_quota_left__waits_or_fails_as_was_chosen(
    api: JobsApi, gateway: Runtime
) -> None:
    model = api.world.serve("echo").model
    api.world.tier.daily_requests = 1
    api.world.db(api.world.tier.save)
    first = await api.submit(model)
    async with working(gateway, slots=1):
        await api.wait(first)
        waiting = await api.submit(model, onLimit="wait", tags=["other"])
        failing = await api.submit(model, onLimit="fail")
        failed = await api.wait(failing)
        job = await api.wait(waiting, lambda job: job["error"] is not None)
    assert (failed["state"], failed["error"]["code"]) == (
        "failed",
        "insufficient_quota",
    )
    assert (job["state"], job["attempts"]) == ("queued", 0)
    assert job["error"]["code"] == "insufficient_quota"
    assert job["runAt"] > job["createdAt"]
    await gateway.trace_rows.flush()
    traces = api.world.db(lambda: [*Refusal.objects.filter(job=waiting)])
    assert [one.code for one in traces] == ["insufficient_quota"]


async def test_job__while_no_provider_is_available__waits_without_an_attempt_counted(
    api: JobsApi, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm.jobs.worker.execution.MOST_OUTAGE_WAIT_S", 0.5)
    served = api.world.serve("echo")
    api.world.force(served.providers[0], BreakerOverride.State.OPEN)
    job_id = await api.submit(served.model)
    async with working(gateway):
        job = await api.wait(job_id, lambda job: job["error"] is not None)
        assert (job["state"], job["attempts"]) == ("queued", 0)
        api.world.db(BreakerOverride.objects.all().delete)
        job = await api.wait(job_id)
    assert (job["state"], job["attempts"]) == ("succeeded", 1)


async def test_error__with_what_no_column_holds__is_written_without_it(
    api: JobsApi, gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> Any:
        raise InvalidRequest("a\0b \ud800 c", code="odd\0")

    job_id = await api.submit(api.world.serve("echo").model)
    monkeypatch.setattr("llm.jobs.worker.execution._answer", refuse)
    async with working(gateway):
        job = await api.wait(job_id)
    assert (job["state"], job["error"]) == (
        "failed",
        {"code": "odd", "message": "ab ? c"},
    )


async def test_claim__that_its_worker_never_heard_of__is_freed(
    api: JobsApi, gateway: Runtime
) -> None:
    job_id = await api.submit(api.world.serve("echo").model)
    async with working(gateway) as worker:
        lost = {"state": "running", "worker": worker.id, "attempts": 1, "due": False}
        past = timezone.now() - timedelta(seconds=1)
        rows = Job.objects.filter(pk=job_id, state="queued")
        if api.world.db(rows.update, lease_until=past, **lost):
            await asyncio.sleep(3)
            assert api.world.db(sweep.free_lost) == 1
        job = await api.wait(job_id)
    assert job["state"] == "succeeded"


async def test_lost_lease__freed_by_the_sweep__ends_as_a_dead_letter(
    api: JobsApi, gateway: Runtime
) -> None:
    job_id = await api.submit(api.world.serve("echo").model)
    lost = {"state": "running", "lease_until": timezone.now() - timedelta(seconds=1)}
    for attempt, state in ((1, "queued"), (2, "queued"), (3, "dead")):
        changed = Job.objects.filter(pk=job_id)
        api.world.db(changed.update, attempts=attempt, **lost)
        assert api.world.db(sweep.free_lost) == 1
        job = await api.show(job_id)
        assert (job["state"], job["error"]["code"]) == (state, "worker_lost")
    rows = Job.objects.filter(pk=job_id)
    assert api.world.db(actions.retry, rows, by="a test") == 1
    async with working(gateway):
        job = await api.wait(job_id)
    assert (job["state"], job["attempts"]) == ("succeeded", 1)


async def test_deadline__passed__ends_the_job(api: JobsApi) -> None:
    soon = timezone.now() + timedelta(seconds=0.5)
    job_id = await api.submit(api.world.serve("echo").model, deadline=soon.isoformat())
    await asyncio.sleep(0.6)
    assert api.world.db(sweep.end_late) == 1
    job = await api.show(job_id)
    assert (job["state"], job["error"]["code"]) == ("failed", "deadline_passed")


async def test_pause__of_a_type__leaves_its_jobs_queued(
    api: JobsApi, gateway: Runtime
) -> None:
    model = api.world.serve("echo").model
    api.world.db(actions.pause, "completion", by="a test", reason="why not")
    paused = await api.submit(model)
    vectors = api.world.serve("demo", kind="embedding").model
    body = {"model": vectors, "input": "words"}
    other = await api.submit(type="embedding", body=body)
    async with working(gateway):
        await api.wait(other)
        assert (await api.show(paused))["state"] == "queued"
        api.world.db(actions.resume, "completion")
        await api.wait(paused)


async def test_worker__stopped__gives_its_jobs_back(
    api: JobsApi, gateway: Runtime
) -> None:
    job_id = await api.submit(api.world.serve("hang").model)
    async with working(gateway) as worker:
        await api.wait(job_id, lambda job: job["state"] == "running")
        await until(lambda: api.world.db(JobWorker.objects.filter(pk=worker.id).exists))
    job = await api.show(job_id)
    assert (job["state"], job["attempts"]) == ("queued", 0)
    assert job["error"]["code"] == "worker_stopped"
    assert not api.world.db(JobWorker.objects.filter(pk=worker.id).exists)
    await until(lambda: bool(bills(api, job_id)))
    assert [(one.cost_usd, one.marks) for one in bills(api, job_id)] == [
        (0, ["estimated", "refunded"])
    ]


async def test_python__submit_and_status__as_the_guide_says(
    api: JobsApi, gateway: Runtime
) -> None:
    model = api.world.serve("echo").model
    body = {"model": model, "messages": [{"role": "user", "content": "From Python"}]}
    user = api.world.customer.user_id

    def act() -> Job:
        return submit(type="completion", user_id=user, body=body, tags=["python"])

    job = api.world.db(act)
    async with working(gateway):
        await until(lambda: api.world.db(status, job.id).state == "succeeded")
    answer = await api.call(f"/{job.id}/result")
    assert answer.json["choices"][0]["message"]["content"] == "From Python"


async def test_events__of_a_job__show_each_change_and_end_with_it(
    api: JobsApi, gateway: Runtime
) -> None:
    job_id = await api.submit(api.world.serve("slow@1500ms").model)
    exchange = Exchange(
        gateway, f"{JOBS}/{job_id}/events", method="GET", key=api.world.key
    )
    exchange.scope["query_string"] = b""
    task = exchange.start()
    async with working(gateway):
        async with asyncio.timeout(PATIENCE_S):
            await task
    events = [
        orjson.loads(block.partition(b"data: ")[2])
        for block in exchange.body.split(b"\n\n")
        if block.startswith(b"event: job")
    ]
    states = [one["state"] for one in events]
    assert (states[0], states[-1]) == ("queued", "succeeded")
    assert "running" in states


async def until(reached: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not reached():
            await asyncio.sleep(0.02)
