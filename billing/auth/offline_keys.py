"""Recently used keys with read scopes, saved on disk for processes without a database.

The file has what the database has: a digest under KEY_PEPPER, never the key. Only the
scopes for reading flags and prompts are saved.
"""

import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from billing.auth import key_check
from billing.auth.act_as import user_to_bill
from billing.auth.key_facts import KeyFacts
from billing.auth.lookups import unavailable
from billing.auth.principal import Principal
from billing.models import Scope

MOST = 1000
# A key may have been revoked since: an older file is not used.
MAX_AGE_S = 86_400.0
READING = frozenset({Scope.FLAGS_EVALUATE.value, Scope.PROMPTS_READ.value})
# Not needed for reading; but its holder may act for users that are not in the file.
_ACT_AS = Scope.ACT_AS.value
_KEPT = READING | {_ACT_AS, Scope.BILL_USER.value}


class SeenKeys:
    """The keys of a file that was written at `saved_at`, Unix time."""

    def __init__(self, keys: Mapping[str, KeyFacts], saved_at: float) -> None:
        self._keys = keys
        self._saved_at = saved_at

    def authenticate(
        self, authorization: str | None, on_behalf: str | None, user: str = ""
    ) -> Principal:
        """The caller who sent this Authorization header, with read scopes only.

        Raises NotAuthenticated (a wrong, expired or missing key), or Unavailable for
        whom only the database knows: other keys, tokens, users acted for.
        """
        text = key_check.bearer(authorization)
        found = None
        if text.startswith("vc-") and time.time() - self._saved_at < MAX_AGE_S:
            found = self._keys.get(key_check.prefix(text))
        if found is None:
            raise unavailable()
        who = key_check.prove(text, found)
        billed = user_to_bill(who.scopes, on_behalf, user)
        if billed not in (None, who.user_id) and _ACT_AS in who.scopes:
            raise unavailable()
        return who


def dump(found: Mapping[str, KeyFacts], prefixes: Iterable[str]) -> dict[str, Any]:
    """The keys `found` with a read scope, in the order of `prefixes`, as JSON."""
    now = time.time()
    rows = ((prefix, found[prefix]) for prefix in prefixes if prefix in found)
    return {
        prefix: _row(facts)
        for prefix, facts in rows
        if facts.principal.scopes & READING and not facts.refuses(now)
    }


def restore(section: Mapping[str, Any]) -> dict[str, KeyFacts]:
    """Reads what `dump` wrote. Raises KeyError, TypeError or ValueError."""
    return {key: _facts(**row) for key, row in section.items()}


def _row(facts: KeyFacts) -> dict[str, Any]:
    who = facts.principal
    return {
        "digest": facts.digest,
        "customer_id": str(who.customer_id),
        "user_id": who.user_id,
        "tier": who.tier,
        "team": who.team,
        "key": who.key,
        "scopes": sorted(who.scopes & _KEPT),
        "expires_at": who.expires_at,
    }


def _facts(digest: str, customer_id: str, **row: Any) -> KeyFacts:
    who = Principal(
        **row,
        customer_id=uuid.UUID(customer_id),
        allowed_models=frozenset(),
        suspended=False,
    )
    who = replace(who, scopes=frozenset(who.scopes))
    return KeyFacts(digest, revoked=False, principal=who)
