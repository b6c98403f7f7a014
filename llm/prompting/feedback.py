"""Saves a caller's rating of an answer, with the facts of its ledger row."""

import uuid
from dataclasses import dataclass

from django.db import Error as DatabaseError
from django.utils import timezone

from billing.auth.act_as import may_act_for_customer
from billing.auth.principal import Principal
from billing.models import Reservation, Scope, Usage
from llm.models import Feedback
from valuecanvas.core.errors import Conflict, NotFound, Unavailable

_FACTS = (
    "customer_id",
    "user_id",
    "team",
    "model",
    "prompt_key",
    "prompt_version",
    "variant",
    "subject",
    "created_at",
)


@dataclass(frozen=True, slots=True)
class Rating:
    """A score from -1 to 1, and a comment."""

    request_id: uuid.UUID
    score: float
    comment: str = ""


def save(principal: Principal, rating: Rating) -> Feedback:
    """Write or replace the feedback of a request. Blocks: not for an event loop.

    The request must be the caller's own, or of a user it may act for.
    Raises NotFound, Conflict (the answer is still under way) or Unavailable.
    """
    try:
        return _save(principal, rating)
    except DatabaseError as error:
        raise Unavailable(
            "Feedback cannot be saved now. Please try again.",
            headers={"Retry-After": "1"},
        ) from error


def _save(principal: Principal, rating: Rating) -> Feedback:
    rows = Usage.objects.filter(pk=rating.request_id, corrects=None)
    usage = rows.only(*_FACTS).first()
    if usage is None or not _may_rate(principal, usage):
        raise _unknown(principal, rating.request_id)
    now = timezone.now()
    feedback = Feedback(
        request_id=rating.request_id,
        customer_id=usage.customer_id,
        user_id=usage.user_id,
        score=rating.score,
        comment=rating.comment,
        model=usage.model,
        prompt_key=usage.prompt_key,
        prompt_version=usage.prompt_version,
        variant=usage.variant,
        subject=usage.subject,
        requested_at=usage.created_at,
        created_at=now,
        updated_at=now,
    )
    Feedback.objects.bulk_create(
        [feedback],
        update_conflicts=True,
        unique_fields=["request_id"],
        update_fields=["score", "comment", "updated_at"],
    )
    return feedback


def _may_rate(principal: Principal, row: Usage | Reservation) -> bool:
    if row.customer_id == principal.customer_id:
        return True
    if Scope.ACT_AS not in principal.scopes or row.team != principal.team:
        return False
    return may_act_for_customer(principal, row.customer_id)


def _unknown(principal: Principal, request_id: uuid.UUID) -> NotFound | Conflict:
    held = Reservation.objects.filter(pk=request_id).first()
    if held is not None and _may_rate(principal, held):
        return Conflict(
            "The answer is still under way: send the feedback once it has ended.",
            param="request_id",
            code="request_in_progress",
            headers={"Retry-After": "1"},
        )
    return NotFound(
        "You have no such request.",
        param="request_id",
        code="request_not_found",
    )
