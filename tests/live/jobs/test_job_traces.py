"""Traces of jobs as an OpenTelemetry collector gets them."""

import pytest
from pytest_django import Settings

from llm.jobs import expansion
from llm.models import Job
from llm.runtime import Runtime
from tests.live.jobs.conftest import JobsApi, working
from tests.live.jobs.uploading import FilesApi
from tests.live.trace_checks import HEADER, STEPS, check, has, steps
from tests.live.world import World
from tests.otlp import Collector
from valuecanvas.core.telemetry import traces

pytestmark = pytest.mark.live


async def test_job__submitted_over_http__goes_on_in_the_same_trace(
    collector: Collector, api: JobsApi, indoors: World, gateway: Runtime
) -> None:
    model = indoors.serve("echo").model
    job_id = await api.submit(model)
    async with working(gateway):
        job = await api.wait(job_id)
    row = indoors.usage(job["requestId"])
    trace = collector.trace(row.trace_id, lambda one: "settle" in one.names)
    check(trace)
    assert (trace.root.name, trace.root.kind) == ("POST /api/llm/jobs", "SERVER")
    run = trace.one("run completion")
    assert run.kind == "CONSUMER"
    assert run in trace.children(trace.root)
    assert has(
        run,
        valuecanvas__job__id=job_id,
        valuecanvas__job__state="succeeded",
        valuecanvas__request_id=job["requestId"],
        valuecanvas__model=model,
    )
    assert steps(trace.children(run)) == [*STEPS, "call upstream", "settle"]


async def test_job__that_fails__is_kept_although_not_sampled(
    collector: Collector,
    api: JobsApi,
    indoors: World,
    gateway: Runtime,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("llm.jobs.worker.execution.BACKOFF_S", 0.01)
    settings.TRACE_SAMPLE_RATIO = 0.0
    settings.JOBS_ATTEMPTS = 1
    job_id = await api.submit(indoors.serve("status-500").model)
    async with working(gateway):
        await api.wait(job_id)
    trace_id = traces.parse_parent(api.row(job_id).traceparent)
    assert trace_id is not None
    trace = collector.trace(f"{trace_id.trace_id:032x}")
    assert [one.name for one in trace.spans if one.kind == "CONSUMER"] == [
        "run completion"
    ]
    assert trace.one("run completion").attributes["error.type"] == "upstream_error"


async def test_batch__lines__have_traces_of_their_own_with_a_link(
    collector: Collector,
    api: JobsApi,
    files_api: FilesApi,
    indoors: World,
    gateway: Runtime,
) -> None:
    messages = [{"role": "user", "content": "Say hello"}]
    body = {"model": indoors.serve("echo").model, "messages": messages}
    lines = [{"custom_id": name, "body": body} for name in "ab"]
    answer = await files_api.post(
        "/api/llm/batches", endpoint="/v1/chat/completions", requests=lines
    )
    submission = collector.trace(answer.headers[HEADER]).root
    indoors.db(expansion.expand_by_id, answer.json["id"])
    jobs = indoors.db(
        lambda: list(Job.objects.filter(batch_id=answer.json["id"]).order_by("line"))
    )
    async with working(gateway):
        ended = [await api.wait(str(job.pk)) for job in jobs]
    for one in ended:
        trace = collector.trace(one["requestId"].replace("-", ""))
        [link] = trace.root.span.links
        assert link.span_id == submission.span.span_id
        assert link.trace_id.hex() == answer.headers[HEADER]
