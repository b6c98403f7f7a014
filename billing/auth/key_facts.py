"""Reads keys and customers from the database for the cache of callers."""

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from billing.auth.issuer_rights import REVOKE, find_lost_scopes
from billing.auth.principal import Principal
from billing.minute_limits import MinuteLimits
from billing.models import ApiKey
from valuecanvas.core.ids import uuid7

# A hung lookup would block every other caller that is not cached.
STATEMENT_TIMEOUT_MS = 2000

NONE: frozenset[str] = frozenset()
UserKey = tuple[str, str]  # (team, user_id)

_FIND = """
SELECT coalesce(c.team_id, ''), c.user_id, c.id, c.tier_id, c.suspended,
  EXISTS (SELECT FROM billing_apikey k WHERE k.customer_id = c.id),
  c.requests_per_minute, c.tokens_per_minute, c.concurrent_requests
FROM billing_customer c WHERE c.team_id IS NULL AND c.user_id = ANY(%(alone)s)
UNION ALL
SELECT c.team_id, c.user_id, c.id, c.tier_id, c.suspended,
  EXISTS (SELECT FROM billing_apikey k WHERE k.customer_id = c.id),
  c.requests_per_minute, c.tokens_per_minute, c.concurrent_requests
FROM billing_customer c
JOIN unnest(%(teams)s::text[], %(users)s::text[]) AS wanted (team, user_id)
  ON c.team_id = wanted.team AND c.user_id = wanted.user_id
"""
# Raw on purpose: a customer first seen changes no configuration, so no epoch is bumped.
_CREATE = """
INSERT INTO billing_customer (id, user_id, team_id, tier_id, suspended, created_at)
SELECT wanted.id, wanted.user_id, nullif(wanted.team, ''), tier.key, false, now()
FROM unnest(%(ids)s::uuid[], %(teams)s::text[], %(users)s::text[])
  AS wanted (id, team, user_id)
JOIN billing_tier tier ON tier.key = %(tier)s
WHERE wanted.team = '' OR EXISTS (SELECT FROM billing_team WHERE key = wanted.team)
-- In one order everywhere: two processes that add the same users must not deadlock.
ORDER BY wanted.team, wanted.user_id
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """A customer. `loaded_at` in monotonic seconds."""

    id: uuid.UUID
    tier: str
    suspended: bool
    # An API key of its own, valid or not: others may not act for it.
    has_key: bool
    own_limits: MinuteLimits
    loaded_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """A key with its principal. `loaded_at` in monotonic seconds."""

    digest: str
    revoked: bool
    principal: Principal
    issuer: str = ""
    loaded_at: float = field(default_factory=time.monotonic)

    def refuses(self, now: float) -> bool:
        """Whether the key is refused at `now` (Unix seconds)."""
        who = self.principal
        expired = who.expires_at is not None and who.expires_at <= now
        return self.revoked or who.suspended or expired


def load_keys(prefixes: list[str]) -> dict[str, KeyFacts]:
    """The keys that exist among `prefixes`."""
    with transaction.atomic():
        _limit_statements()
        rows = ApiKey.objects.filter(prefix__in=prefixes).select_related("customer")
        lost = find_lost_scopes(rows)
        return {row.prefix: _key_facts(row, lost.get(row.prefix, NONE)) for row in rows}


def load_customers(wanted: list[UserKey]) -> dict[UserKey, CustomerFacts]:
    """The customers `wanted`; new ones are created in the default tier.

    Those missing from the answer could not be created: the default tier does not exist,
    or the team has gone.
    """
    with transaction.atomic():
        _limit_statements()
        found = _find(wanted)
        missing = [user for user in wanted if user not in found]
        if missing:
            _create(missing)
            # Again, and not RETURNING: another process may have created them first.
            found |= _find(missing)
        return found


def _limit_statements() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS:d}")


def _key_facts(row: ApiKey, lost: frozenset[str]) -> KeyFacts:
    customer = row.customer
    # The schedule writes it down: billing.revoke_keys_of_former_staff.
    revoked = bool(lost) and settings.KEYS_OF_FORMER_STAFF == REVOKE
    return KeyFacts(
        digest=row.digest,
        revoked=revoked or row.revoked_at is not None,
        issuer=row.issuer,
        principal=Principal(
            customer_id=customer.pk,
            user_id=customer.user_id,
            tier=customer.tier_id,
            team=customer.team_id or "",
            key=row.prefix,
            scopes=frozenset(row.scopes) - lost,
            frozen_scopes=lost,
            allowed_models=frozenset(row.allowed_models),
            suspended=customer.suspended,
            expires_at=row.expires_at.timestamp() if row.expires_at else None,
            own_limits=customer.minute_limits,
            key_limits=row.minute_limits,
            cache_policy=row.cache_policy,
            tags=tuple(row.tags),
            allowed_tags=frozenset(row.allowed_tags),
        ),
    )


def _find(wanted: list[UserKey]) -> dict[UserKey, CustomerFacts]:
    inside = [user for user in wanted if user[0]]
    values: dict[str, Any] = {
        "alone": [user_id for team, user_id in wanted if not team],
        "teams": [team for team, _ in inside],
        "users": [user_id for _, user_id in inside],
    }
    with connection.cursor() as cursor:
        cursor.execute(_FIND, values)
        return {(row[0], row[1]): _customer_facts(row) for row in cursor.fetchall()}


def _customer_facts(row: tuple[Any, ...]) -> CustomerFacts:
    _, _, pk, tier, suspended, has_key, *limits = row
    return CustomerFacts(pk, tier, suspended, has_key, MinuteLimits(*limits))


def _create(missing: list[UserKey]) -> None:
    values: dict[str, Any] = {
        "ids": [uuid7() for _ in missing],
        "teams": [team for team, _ in missing],
        "users": [user_id for _, user_id in missing],
        "tier": settings.DEFAULT_TIER,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CREATE, values)
