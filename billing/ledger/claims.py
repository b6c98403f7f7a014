"""Idempotency keys, read outside the group commit."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone

from billing.ledger import Busy, Claim, Mismatch, Stored
from billing.models import IdempotencyKey, Usage


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a key's first use."""

    request_id: str
    stored: Stored


@dataclass(frozen=True, slots=True)
class Unkept:
    """The first use was answered, but that answer was too large to be stored."""

    request_id: str


Used = Answered | Unkept | Busy | Mismatch


def find_first_uses(wanted: Sequence[Claim]) -> dict[Claim, Used]:
    """The results of those claims that were used before."""
    rows = IdempotencyKey.objects.filter(
        pk__in={claim.id for claim in wanted}, expires_at__gt=timezone.now()
    )
    found = {row.pk: row for row in rows}
    return {c: _use(c, found[c.id]) for c in wanted if c.id in found}


def _use(claim: Claim, row: IdempotencyKey) -> Used:
    if row.fingerprint != claim.fingerprint:
        return Mismatch()
    if not row.done or row.status is None:
        return Busy()
    if row.body is None:
        return Unkept(str(row.request_id))
    stored = Stored(row.status, row.headers or {}, bytes(row.body))
    return Answered(str(row.request_id), stored)


def forget_claims(ids: Sequence[str]) -> None:
    """Delete claims whose answers are stored elsewhere by now."""
    IdempotencyKey.objects.filter(pk__in=ids, done=True).delete()


def load_bills(request_ids: Sequence[str]) -> dict[str, Usage]:
    """The ledger rows of the requests, by their ids."""
    rows = Usage.objects.filter(pk__in=request_ids)
    return {str(row.pk): row for row in rows}
