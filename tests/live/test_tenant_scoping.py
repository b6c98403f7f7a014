"""S23: no id of another customer leads anywhere: 404, never 403, and nothing changes."""

from http.client import IncompleteRead
from typing import Any

import orjson
import pytest

from billing.models import Customer, Request
from llm.jobs import files, output
from llm.jobs.callbacks import register_callback
from llm.models import BatchState, Job, JobBatch, JobFile, JobState
from tests.admin import job_rows
from tests.admin.rows import make_usage
from tests.live.world import World, unique
from tests.security.access_rules import GATEWAY
from valuecanvas.core.models import WebhookEndpoint

pytestmark = pytest.mark.live
SWEPT = [
    (method, route)
    for route, rules in GATEWAY.items()
    for method in rules
    if "_id>" in route
]
OWNED = (Job, JobBatch, JobFile)


def make_all(customer: Customer) -> dict[str, list[str]]:
    """One of each that a customer can own; its ids by the parameter of the route."""
    owner = {"customer_id": customer.pk, "user_id": customer.user_id}
    job = job_rows.make_job(JobState.CANCELLED, customer)
    batch = job_rows.make_batch(state=BatchState.COMPLETED, finished_at=job.created_at, **owner)  # fmt: skip
    file = job_rows.make_job_file(**owner)
    register_callback(customer.pk, f"https://{unique('hook')}.example/jobs")
    callback = WebhookEndpoint.objects.get(owner=f"customer:{customer.pk}")
    usage = make_usage(customer)
    return {
        "job_id": [str(job.pk)],
        "batch_id": [str(batch.pk), f"batch_{batch.pk.hex}"],
        "file_id": [
            files.render_id(file.pk), *filter(None, [output.output_id(batch)])
        ],
        "callback_id": [str(callback.pk)],
        "request_id": [str(usage.pk)],
    }  # fmt: skip


def state_of(customer: Customer) -> list[Any]:
    rows = [list(one.objects.filter(customer_id=customer.pk).values()) for one in OWNED]
    owner = f"customer:{customer.pk}"
    return [*rows, list(WebhookEndpoint.objects.filter(owner=owner).values())]


def fill(route: str, ids: dict[str, list[str]]) -> list[str]:
    [name] = [one for one in ids if f"<str:{one}>" in route]
    found = ids[name]
    if name == "batch_id":
        # Our own ids, or OpenAI's.
        found = found[1:] if route.startswith("v1/") else found[:1]
    return ["/" + route.replace(f"<str:{name}>", one) for one in found]


def test_foreign_id__on_every_route__is_404_and_changes_nothing(world: World) -> None:
    other, key = world.new_customer()
    ids = world.db(make_all, world.customer)
    before = world.db(state_of, world.customer)
    assert len(SWEPT) > 15
    for method, route in SWEPT:
        for path in fill(route, ids):
            sent = b"{}" if method == "POST" else None
            answer = world.request(path, sent, method=method, key=key)
            assert answer.status == 404, (method, path, answer.body)
            assert str(other.pk) not in path
    assert world.db(state_of, world.customer) == before
    # With its own key each is there: the sweep asks for what exists. Deletions come last.
    for method, route in sorted(SWEPT, key=lambda one: one[0] == "DELETE"):
        for path in fill(route, ids):
            sent = b"{}" if method == "POST" else None
            try:
                answer = world.request(path, sent, method=method)
            except IncompleteRead:
                continue  # found, but its content is no real one
            assert answer.status not in (403, 404), (method, path, answer.body)


def test_foreign_id__in_a_body_or_a_query__finds_nothing(world: World) -> None:
    _, key = world.new_customer()
    ids = world.db(make_all, world.customer)
    batch, usage = ids["batch_id"][0], ids["request_id"][0]
    window = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
    for path, body in (
        ("/v1/batches", {"input_file_id": ids["file_id"][0], **window}),
        ("/v1/feedback", {"request_id": usage, "score": 1}),
    ):
        answer = world.request(path, orjson.dumps(body), key=key)
        assert answer.status == 404, answer.body
    found = world.request(f"/api/llm/jobs?batchId={batch}", key=key)
    assert found.json["data"] == []
    for path in ("/api/llm/jobs", "/api/llm/batches", "/v1/files", "/v1/batches", "/api/llm/callbacks"):  # fmt: skip
        assert world.request(path, key=key).json["data"] == [], path
        assert world.request(path).json["data"] != [], path
    assert world.db(lambda: Request.objects.filter(pk=usage).exists())
