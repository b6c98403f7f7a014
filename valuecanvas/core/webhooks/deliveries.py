"""Leases of webhooks, the results of attempts, and when the next one is due."""

import random
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet, Window
from django.db.models.functions import Now, RowNumber
from django.utils import timezone

from valuecanvas.core.webhooks.endpoints import disable_endpoint, lock_endpoint
from valuecanvas.core.webhooks.models import (
    LONGEST_ERROR,
    DeliveryState,
    WebhookDelivery,
    WebhookEndpoint,
)
from valuecanvas.core.webhooks.outbox import ring_sender

log = structlog.get_logger("webhooks")

# After this a delivery of a sender that has died is sent by another one.
LEASE = timedelta(seconds=60)
# The attempts of one webhook, the last about 22 hours after the first.
MOST_ATTEMPTS = 10
FIRST_WAIT_S = 8
# Attempts of one owner at once, so that a dead server does not keep others waiting.
MOST_PER_OWNER = 5
# An endpoint at which every attempt has failed this long is disabled.
MOST_FAILING = timedelta(days=3)
# Failures further apart are not one outage.
QUIET = timedelta(days=1)
MOST_HISTORY = 30
GONE = 410


@dataclass(frozen=True, slots=True)
class SendResult:
    """How an attempt ended. Without an error it was delivered."""

    error: str
    status: int | None
    took_ms: int
    # Whether a further attempt would fail as well.
    final: bool = False
    # The seconds that the receiver asks to wait.
    retry_after_s: int = 0


def claim_due(most: int, without: Collection[str] = ()) -> list[WebhookDelivery]:
    """Lease at most `most` due webhooks, and none of the owners `without`."""
    waiting = WebhookDelivery.objects.filter(state=DeliveryState.WAITING)
    earlier = waiting.exclude(about="").filter(
        about=OuterRef("about"), endpoint=OuterRef("endpoint"), pk__lt=OuterRef("pk")
    )
    due = waiting.filter(
        ~Exists(earlier), next_at__lte=Now(), endpoint__disabled_at=None
    )
    place = Window(RowNumber(), partition_by="endpoint__owner", order_by="next_at")
    ranked = due.exclude(endpoint__owner__in=without).annotate(place=place)
    first = ranked.filter(place__lte=MOST_PER_OWNER).order_by("next_at")
    ids = list(first.values_list("pk", flat=True)[:most])
    if not ids:
        return []
    with transaction.atomic():
        # Those that another sender has claimed meanwhile are locked, or no longer due.
        rows = due.filter(pk__in=ids).select_for_update(skip_locked=True, of=("self",))
        mine = WebhookDelivery.objects.filter(
            pk__in=list(rows.values_list("pk", flat=True))
        )
        mine.update(next_at=Now() + LEASE, attempts=F("attempts") + 1)
        return list(mine.select_related("endpoint"))


def record(delivery: WebhookDelivery, result: SendResult) -> None:
    """Write how an attempt ended, unless its lease has expired and another has it."""
    try:
        with transaction.atomic():
            _record(delivery, result)
    except WebhookEndpoint.DoesNotExist:
        # Its owner has deleted it meanwhile.
        return


def _record(delivery: WebhookDelivery, result: SendResult) -> None:
    now = timezone.now()
    endpoint = lock_endpoint(delivery.endpoint)
    ended = not result.error or bool(endpoint.disabled_at)
    ended = ended or result.final or delivery.attempts >= MOST_ATTEMPTS
    state = DeliveryState.FAILED if result.error else DeliveryState.DELIVERED
    entry = {
        "at": now.isoformat(),
        "status": result.status,
        "error": result.error,
        "took_ms": result.took_ms,
    }
    written = WebhookDelivery.objects.filter(
        pk=delivery.pk, next_at=delivery.next_at
    ).update(
        state=state if ended else DeliveryState.WAITING,
        next_at=Now()
        + timedelta(seconds=max(wait_s(delivery.attempts), result.retry_after_s)),
        last_status=result.status,
        last_error=result.error,
        history=[*delivery.history, entry][-MOST_HISTORY:],
        finished_at=now if ended else None,
    )
    if written:
        _judge(endpoint, result, now)


def wait_s(attempts: int) -> float:
    """Seconds until the next attempt: three times as long each time, with jitter."""
    return FIRST_WAIT_S * 3.0 ** (attempts - 1) * random.uniform(0.8, 1.2)  # noqa: S311


def send_again(rows: QuerySet[WebhookDelivery]) -> list[WebhookDelivery]:
    """Queue those of `rows` again that have ended, under the same id. Returns them.

    Those of a disabled endpoint are left as they are.
    """
    ended = rows.exclude(state=DeliveryState.WAITING).filter(endpoint__disabled_at=None)
    with transaction.atomic():
        # Locked in one order, so that two who act at once do not deadlock.
        locked = ended.order_by("pk").select_for_update(of=("self",))
        chosen = list(locked.defer("body", "history"))
        WebhookDelivery.objects.filter(pk__in=[one.pk for one in chosen]).update(
            state=DeliveryState.WAITING, attempts=0, next_at=Now(), finished_at=None
        )
        ring_sender()
    return chosen


def _judge(endpoint: WebhookEndpoint, result: SendResult, now: datetime) -> None:
    """Count an attempt at its endpoint, and disable one that has failed too long."""
    if not result.error:
        endpoint.delivered += 1
        endpoint.failing_since = None
        endpoint.save(update_fields=["delivered", "failing_since"])
        return
    apart = endpoint.last_failed_at is None or now - endpoint.last_failed_at > QUIET
    if endpoint.failing_since is None or apart:
        endpoint.failing_since = now
    endpoint.failed += 1
    endpoint.last_failed_at = now
    endpoint.last_error = result.error[:LONGEST_ERROR]
    endpoint.save(
        update_fields=["failed", "failing_since", "last_failed_at", "last_error"]
    )
    if endpoint.disabled_at is None and (why := _why_disable(endpoint, result, now)):
        disable_endpoint(endpoint, why)
        log.warning("webhooks.disabled", endpoint=str(endpoint.pk), owner=endpoint.owner, reason=why)  # fmt: skip


def _why_disable(endpoint: WebhookEndpoint, result: SendResult, now: datetime) -> str:
    if result.status == GONE:
        return "It answered 410: it takes no more webhooks."
    since = endpoint.failing_since or now
    if now - since >= MOST_FAILING:
        return f"Every attempt has failed for {MOST_FAILING.days} days."
    return ""
