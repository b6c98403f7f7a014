"""What a caller may know of one of its requests: served, failed, refused or under way."""

import uuid
from typing import Any

from billing.models import Refusal, Reservation, Usage
from llm.jobs.owner import owned_by
from llm.models import Attempt
from valuecanvas.core.errors import caller_view

MOST_ATTEMPTS = 50


def load_record(customer_id: uuid.UUID, request_id: uuid.UUID) -> dict[str, Any] | None:
    """The customer's request; None if it has no such request, or not yet.

    Blocks: not for an event loop.
    """
    usage = owned_by(Usage.objects.filter(corrects=None), customer_id)
    if (served := usage.filter(pk=request_id).first()) is not None:
        return _served(served)
    refusals = owned_by(Refusal.objects.all(), customer_id)
    if (refused := refusals.filter(pk=request_id).first()) is not None:
        return _refused(refused)
    held = owned_by(Reservation.objects.all(), customer_id)
    if held.filter(pk=request_id).exists():
        return {"object": "request", "id": str(request_id), "outcome": "in_progress"}
    return None


def _served(row: Usage) -> dict[str, Any]:
    answered = row.status == "ok"
    attempts = Attempt.objects.filter(request_id=row.pk).order_by("number")
    return {
        **_common(row, "served" if answered else "failed"),
        "error": None if answered else {"code": row.error_code or row.status},
        "provider": row.provider,
        "cached": row.cached,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "cost_usd": float(row.cost_usd),
        "latency_ms": row.latency_ms,
        "ttft_ms": row.ttft_ms,
        # Without the provider's words: they may be about the operator's account.
        "failed_attempts": [
            {
                "number": one.number,
                "provider": one.provider,
                "outcome": one.outcome,
                "status": one.status,
                "latency_ms": one.latency_ms,
            }
            for one in attempts[:MOST_ATTEMPTS]
        ],
    }


def _refused(row: Refusal) -> dict[str, Any]:
    return {
        **_common(row, "refused"),
        "error": {
            "status": row.status,
            "code": row.code,
            "param": row.param or None,
            "message": row.message,
        },
        "step": row.step,
        "limits": [
            {**caller_view(one), "refused": one["refused"]} for one in row.limits
        ],
        "max_tokens": row.max_tokens,
        "retry_at": row.retry_at.isoformat() if row.retry_at else None,
    }


def _common(row: Usage | Refusal, outcome: str) -> dict[str, Any]:
    return {
        "object": "request",
        "id": str(row.pk),
        "outcome": outcome,
        "created_at": row.created_at.isoformat(),
        "endpoint": row.endpoint,
        "model": row.model,
        "key": row.key,
    }
