"""What a callback tells of a job or a batch."""

from decimal import Decimal
from typing import Any

import orjson
import pytest
from django.utils import timezone

from llm.jobs import actions
from llm.jobs.callbacks import (
    queue_batch_callback,
    queue_job_callback,
    register_callback,
)
from llm.models import BatchState, Job, JobState
from tests.llm.jobs.job_rows import make_batch, make_job
from valuecanvas.core.errors import InvalidRequest
from valuecanvas.core.ids import uuid7
from valuecanvas.core.models import WebhookDelivery
from valuecanvas.core.webhooks import endpoints
from valuecanvas.core.webhooks.outbox import MOST_BYTES

pytestmark = pytest.mark.django_db
URL = "https://hook.example/jobs"


def told() -> tuple[str, dict[str, Any]]:
    """The type and the data of the only webhook."""
    row = WebhookDelivery.objects.get()
    body = orjson.loads(row.body)
    assert body["type"] == row.type
    return row.type, body["data"]


@pytest.mark.parametrize("state", ["succeeded", "failed", "dead", "cancelled"])
def test_job__that_has_ended__tells_its_state_ids_and_cost(state: str) -> None:
    request_id = uuid7()
    job = make_job(
        callback_url=URL,
        state=state,
        request_id=request_id,
        cost_usd=Decimal("0.001234"),
        error_code="upstream_error",
        error="No provider could answer.",
        tags=["nightly"],
        finished_at=timezone.now(),
    )
    queue_job_callback(job)
    kind, data = told()
    assert kind == f"job.{state}"
    assert (data["id"], data["object"], data["state"]) == (str(job.pk), "job", state)
    assert (data["requestId"], data["costUsd"]) == (str(request_id), 0.001234)
    assert data["error"] == {"code": "upstream_error", "message": "No provider could answer."}  # fmt: skip
    assert data["tags"] == ["nightly"]
    assert data["finishedAt"].endswith("Z")
    row = WebhookDelivery.objects.get()
    assert (row.endpoint.owner, row.endpoint.url) == (f"customer:{job.customer_id}", URL)  # fmt: skip


def test_job__with_the_longest_texts__fits_into_a_webhook() -> None:
    odd = "\u0001"
    job = make_job(
        callback_url=URL,
        state=JobState.FAILED,
        error=odd * 1000,
        error_code=odd * 80,
        model=odd * 200,
        custom_id=odd * 256,
        tags=["\U0001f600" * 40] * 10,
    )
    queue_job_callback(job)
    assert len(WebhookDelivery.objects.get().body.encode()) < MOST_BYTES


def test_job__without_a_callback_url__tells_nobody() -> None:
    queue_job_callback(make_job(state=JobState.SUCCEEDED))
    queue_batch_callback(make_batch(state=BatchState.COMPLETED))
    assert not WebhookDelivery.objects.exists()


def test_job__cancelled_by_an_operator__tells_so() -> None:
    job = make_job(callback_url=URL)
    assert actions.cancel(Job.objects.filter(pk=job.pk), by="olga") == 1
    kind, data = told()
    assert (kind, data["error"]["message"]) == ("job.cancelled", "Cancelled by olga.")


@pytest.mark.parametrize("state", ["completed", "failed", "expired", "cancelled"])
def test_batch__that_has_ended__tells_its_counts(state: str) -> None:
    batch = make_batch(
        callback_url=URL, state=state, total=5, succeeded=3, failed=1, cancelled=1
    )
    queue_batch_callback(batch)
    kind, data = told()
    assert kind == f"batch.{state}"
    assert data["counts"] == {"total": 5, "succeeded": 3, "failed": 1, "cancelled": 1}
    assert (data["id"], data["error"]) == (str(batch.pk), None)


def test_batch__with_bad_lines__tells_the_first_shortened() -> None:
    errors = [{"line": 2, "code": "invalid_json", "message": "x" * 9999, "param": None}]
    queue_batch_callback(
        make_batch(callback_url=URL, state=BatchState.FAILED, errors=errors * 50)
    )
    _, data = told()
    assert data["error"] == {"code": "invalid_json", "message": "x" * 300}


def test_url__that_is_refused__is_an_error_of_the_request() -> None:
    with pytest.raises(InvalidRequest, match="no name or password") as caught:
        register_callback(uuid7(), "https://user:pw@hook.example/")
    assert caught.value.param == "callbackUrl"


def test_job__with_one_url_too_many__is_not_submitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoints, "MOST_ENDPOINTS", 0)
    with pytest.raises(InvalidRequest, match="no ids into URLs"):
        make_job(callback_url=URL)
    assert not Job.objects.exists()
