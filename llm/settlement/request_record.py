"""What a caller may know of one of its requests, whatever became of it."""

import uuid
from typing import Any

from billing.models import IdempotentReplay, Refusal, Reservation, Usage
from llm.jobs.owner import owned_by
from llm.models import Attempt
from llm.settlement.explanation import explain_replay, explain_usage
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
    replays = owned_by(IdempotentReplay.objects.all(), customer_id)
    if (replay := replays.filter(pk=request_id).first()) is not None:
        return _replayed(replay)
    held = owned_by(Reservation.objects.all(), customer_id)
    if held.filter(pk=request_id).exists():
        return {
            "object": "request",
            "id": str(request_id),
            "outcome": "in_progress",
            "explanation": "The request is under way.",
        }
    return None


def _served(row: Usage) -> dict[str, Any]:
    answered = row.status == "ok"
    rows = Attempt.objects.filter(request_id=row.pk).order_by("number")
    attempts = list(rows[:MOST_ATTEMPTS])
    outcome = "served" if answered else "failed"
    return {
        **_common(row, outcome, explain_usage(row, attempts)),
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
            for one in attempts
        ],
    }


def _refused(row: Refusal) -> dict[str, Any]:
    return {
        **_common(row, "refused", row.message),
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


def _replayed(row: IdempotentReplay) -> dict[str, Any]:
    return {
        **_common(row, "replayed", explain_replay(row)),
        "original_request_id": str(row.original_id),
        "cost_usd": 0.0,
    }


def _common(
    row: Usage | Refusal | IdempotentReplay, outcome: str, explanation: str
) -> dict[str, Any]:
    return {
        "object": "request",
        "id": str(row.pk),
        "outcome": outcome,
        "explanation": explanation,
        "created_at": row.created_at.isoformat(),
        "endpoint": row.endpoint,
        "model": row.model,
        "key": row.key,
        "trace_id": row.trace_id or None,
    }
