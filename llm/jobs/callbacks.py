"""Callbacks of jobs and batches, and the URLs that get them."""

import uuid
from typing import Any

from django.core.exceptions import ValidationError

from llm.jobs.rendering import job_document, render_time
from llm.models import Job, JobBatch
from llm.models.job import OPEN
from llm.models.job_batch import OPEN_BATCH
from valuecanvas.core.crypto import UnreadableSecret
from valuecanvas.core.errors import Conflict, InvalidRequest, NotFound
from valuecanvas.core.models import WebhookEndpoint
from valuecanvas.core.webhooks import endpoints, outbox
from valuecanvas.core.webhooks.models import LONGEST_ERROR

# Raises ValidationError for a URL that no callback may have.
check_callback_url = endpoints.check_webhook_url


def register_callback(customer_id: uuid.UUID, url: str) -> None:
    """Make a secret for a callback URL that has none. Raises InvalidRequest.

    At the submission, so that the customer can read the secret before the callback comes.
    """
    try:
        if url:
            endpoints.register_endpoint(_owner(customer_id), url)
    except ValidationError as error:
        raise InvalidRequest(
            f"'callbackUrl': {' '.join(error.messages)}", param="callbackUrl"
        ) from error


def queue_job_callback(job: Job) -> None:
    """Queue the callback of a job that has ended, in the transaction that ends it."""
    if job.callback_url:
        data = job_document(job)
        outbox.queue(
            _owner(job.customer_id), job.callback_url, f"job.{job.state}", data
        )


def queue_batch_callback(batch: JobBatch) -> None:
    """Queue the callback of a batch that has ended, in the transaction that ends it."""
    if batch.callback_url:
        data = _batch_document(batch)
        outbox.queue(
            _owner(batch.customer_id), batch.callback_url, f"batch.{batch.state}", data
        )


def list_callbacks(customer_id: uuid.UUID) -> list[dict[str, Any]]:
    """The customer's callback URLs with their secrets, newest first."""
    rows = WebhookEndpoint.objects.filter(owner=_owner(customer_id))
    return [_callback_document(one) for one in rows]


def rotate_callback(customer_id: uuid.UUID, key: uuid.UUID) -> dict[str, Any]:
    """Give a callback URL a new secret. Raises NotFound."""
    endpoint = _find(customer_id, key)
    endpoints.rotate_secret(endpoint)
    return _callback_document(_find(customer_id, key))


def delete_callback(customer_id: uuid.UUID, key: uuid.UUID) -> None:
    """Forget a callback URL with its secret. Raises NotFound, Conflict if it is in use."""
    endpoint = _find(customer_id, key)
    used = {"customer_id": customer_id, "callback_url": endpoint.url}
    jobs = Job.objects.filter(state__in=OPEN, **used)
    if jobs.exists() or JobBatch.objects.filter(state__in=OPEN_BATCH, **used).exists():
        raise Conflict(
            "Jobs or batches that have not ended will call this URL: cancel them first.",
            code="callback_in_use",
        )
    endpoint.delete()


def _find(customer_id: uuid.UUID, key: uuid.UUID) -> WebhookEndpoint:
    rows = WebhookEndpoint.objects.filter(owner=_owner(customer_id), pk=key)
    found = rows.first()
    if found is None:
        raise NotFound(f"You have no callback URL '{key}'.", code="callback_not_found")
    return found


def _owner(customer_id: uuid.UUID) -> str:
    return f"customer:{customer_id}"


def _secret(endpoint: WebhookEndpoint) -> str | None:
    """Its secret; None: FIELD_KEY was changed, and it must be rotated."""
    try:
        return endpoint.open_secret()
    except UnreadableSecret:
        return None


def _callback_document(endpoint: WebhookEndpoint) -> dict[str, Any]:
    failure = {
        "at": render_time(endpoint.last_failed_at),
        "message": endpoint.last_error,
    }
    return {
        "id": str(endpoint.pk),
        "object": "callback",
        "url": endpoint.url,
        "secret": _secret(endpoint),
        "oldSecretUntil": render_time(endpoint.previous_until),
        "state": endpoint.state,
        "disabledReason": endpoint.disabled_reason or None,
        "createdAt": render_time(endpoint.created_at),
        "lastFailure": failure if endpoint.last_failed_at else None,
    }


def _batch_document(batch: JobBatch) -> dict[str, Any]:
    return {
        "id": str(batch.pk),
        "object": "batch",
        "state": str(batch.state),
        "tags": batch.tags,
        "createdAt": render_time(batch.created_at),
        "finishedAt": render_time(batch.finished_at),
        "costUsd": float(batch.cost_usd),
        "counts": {
            "total": batch.total,
            "succeeded": batch.succeeded,
            "failed": batch.failed,
            "cancelled": batch.cancelled,
        },
        "error": _first_error(batch),
    }


def _first_error(batch: JobBatch) -> dict[str, str] | None:
    """Of its lines that could not be run the first: a callback is small."""
    if not batch.errors:
        return None
    first = batch.errors[0]
    return {
        "code": str(first.get("code")),
        "message": str(first.get("message"))[:LONGEST_ERROR],
    }
