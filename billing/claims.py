"""Idempotency keys, read outside the group commit."""

from django.utils import timezone

from billing.ledger import Claim, Stored
from billing.models import IdempotencyKey


def answer_to(claim: Claim) -> tuple[str, Stored] | None:
    """The id and the answer of the same request that used the key before, if any."""
    row = IdempotencyKey.objects.filter(
        pk=claim.id,
        fingerprint=claim.fingerprint,
        done=True,
        expires_at__gt=timezone.now(),
    ).first()
    if row is None or row.status is None:
        return None
    stored = Stored(row.status, row.headers or {}, bytes(row.body or b""))
    return str(row.request_id), stored
