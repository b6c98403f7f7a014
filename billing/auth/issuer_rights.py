"""Which scopes a key loses while its issuer lacks the rights for them.

Read with the key's row. Triggers in the database (migration 0031) count a change of
these rights as a change of the keys, so it governs the next request.
"""

from collections.abc import Iterable

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from billing.auth.keys import revoke
from billing.models import ApiKey
from billing.models.api_key import SCOPE_RIGHTS, scopes_beyond

log = structlog.get_logger("billing.keys")
KEEP, FREEZE, REVOKE = "keep", "freeze", "revoke"
LostScopes = dict[str, frozenset[str]]


def find_lost_scopes(keys: Iterable[ApiKey]) -> LostScopes:
    """By prefix, the scopes that the key's issuer may not give to a key any more.

    Keys that were issued with a shell (no issuer) and scopes that need no right stay.
    """
    guarded = [
        key
        for key in keys
        if key.issuer and not SCOPE_RIGHTS.keys().isdisjoint(key.scopes)
    ]
    if not guarded or settings.KEYS_OF_FORMER_STAFF == KEEP:
        return {}
    staff = User.objects.filter(
        username__in={key.issuer for key in guarded}, is_active=True, is_staff=True
    )
    people = {user.username: user for user in staff}
    lost = {key.pk: _lost(people.get(key.issuer), key.scopes) for key in guarded}
    return {prefix: scopes for prefix, scopes in lost.items() if scopes}


def _lost(issuer: User | None, scopes: list[str]) -> frozenset[str]:
    if issuer is None:
        return frozenset(scopes).intersection(SCOPE_RIGHTS)
    return frozenset(scopes_beyond(issuer, scopes))


def find_affected_keys() -> list[tuple[ApiKey, frozenset[str]]]:
    """The usable keys that have lost scopes, each with these."""
    alive = ApiKey.objects.filter(
        revoked_at=None, scopes__overlap=list(SCOPE_RIGHTS)
    ).exclude(issuer="")
    keys = [key for key in alive if key.state(timezone.now()) == "active"]
    lost = find_lost_scopes(keys)
    return [(key, lost[key.pk]) for key in keys if key.pk in lost]


def describe_loss(key: ApiKey, lost: Iterable[str]) -> str:
    """What happened to the key, as a sentence for operators."""
    return (
        f"The key '{key.name}' has lost {', '.join(sorted(lost))}: its issuer "
        f"{key.issuer} may not give that any more."
    )


def revoke_affected_keys() -> int:
    """Under KEYS_OF_FORMER_STAFF=revoke, revoke the keys that have lost scopes."""
    if settings.KEYS_OF_FORMER_STAFF != REVOKE:
        return 0
    found = find_affected_keys()
    for key, lost in found:
        revoke(key)
        log.warning("key.revoked", key=key.pk, issuer=key.issuer, lost=sorted(lost))
    return len(found)
