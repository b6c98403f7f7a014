"""The authenticated caller of a request."""

import uuid
from dataclasses import dataclass

from billing.minute_limits import NO_LIMITS, MinuteLimits


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. Plain values, not rows: it outlives the database session."""

    customer_id: uuid.UUID
    user_id: str
    tier: str
    team: str  # '' where the customer has none
    key: str  # the API key's prefix; '' for a token
    scopes: frozenset[str]
    allowed_models: frozenset[str]  # empty: every model
    suspended: bool
    expires_at: float | None  # Unix seconds
    own_limits: MinuteLimits = NO_LIMITS  # the customer's, before the tier's
    key_limits: MinuteLimits = NO_LIMITS  # the key's, besides those
    cache_policy: str = "auto"  # the key's
    tags: tuple[str, ...] = ()  # of each request of the key
    # Of the key, while its issuer lacks the rights for them; not in `scopes`.
    frozen_scopes: frozenset[str] = frozenset()
    allowed_tags: frozenset[str] = frozenset()  # that its requests may name besides
