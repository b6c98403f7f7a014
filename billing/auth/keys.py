"""API keys: issuing, parsing, revoking and rotating them."""

import hmac
import re
import secrets
import string
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from billing.minute_limits import NO_LIMITS, MinuteLimits
from billing.models import ApiKey, Budget, Customer
from valuecanvas.core.cache_policy import CachePolicy

PREFIX_LENGTH = 12
SECRET_BYTES = 32
_BASE62 = string.digits + string.ascii_letters
# Fixed lengths: the secret itself may hold dashes, so splitting would be ambiguous.
_TEXT = re.compile(r"vc-([0-9A-Za-z]{12})-[0-9A-Za-z_-]{43}")


def generate() -> tuple[str, str, str]:
    """A new key as (text, prefix, digest). Show the text once; never store it."""
    prefix = "".join(secrets.choice(_BASE62) for _ in range(PREFIX_LENGTH))
    text = f"vc-{prefix}-{secrets.token_urlsafe(SECRET_BYTES)}"
    return text, prefix, digest(text)


def parse(text: str) -> str | None:
    """The prefix inside a key's text; None where it isn't the text of a key."""
    found = _TEXT.fullmatch(text)
    return found[1] if found else None


def digest(text: str) -> str:
    """The stored form of a key: HMAC-SHA-256 with KEY_PEPPER, in hex.

    A fast hash is enough: the secret has 256 random bits, so there is nothing to guess.
    """
    return _digest(settings.KEY_PEPPER, text)


def earlier_digests(text: str) -> list[str]:
    """What `digest` gave under each of KEY_PEPPER_PREVIOUS."""
    return [_digest(pepper, text) for pepper in settings.KEY_PEPPER_PREVIOUS]


def upgrade_digest(prefix: str, text: str) -> None:
    """Store a key, whose text was just checked, under the present KEY_PEPPER."""
    rows = ApiKey.objects.filter(pk=prefix, digest__in=earlier_digests(text))
    rows.update(digest=digest(text))


def _digest(pepper: str, text: str) -> str:
    return hmac.digest(pepper.encode(), text.encode(), "sha256").hex()


def issue(
    *,
    customer: Customer,
    name: str,
    scopes: Iterable[str],
    allowed_models: Iterable[str] = (),
    tags: Iterable[str] = (),
    allowed_tags: Iterable[str] = (),
    expires_at: datetime | None = None,
    replaces: ApiKey | None = None,
    limits: MinuteLimits = NO_LIMITS,
    cache_policy: str = CachePolicy.AUTO.value,
    issuer: str = "",
) -> tuple[ApiKey, str]:
    """Create a key: the row, and the text that is shown once. Raises ValidationError.

    `issuer` is the person's user name; empty: somebody with a shell.
    """
    text, prefix, kept = generate()
    key = ApiKey(
        prefix=prefix,
        digest=kept,
        name=name,
        customer=customer,
        scopes=sorted(set(scopes)),
        allowed_models=sorted(set(allowed_models)),
        tags=sorted(set(tags)),
        allowed_tags=sorted(set(allowed_tags)),
        expires_at=expires_at,
        replaces=replaces,
        cache_policy=cache_policy,
        requests_per_minute=limits.requests,
        tokens_per_minute=limits.tokens,
        concurrent_requests=limits.concurrent,
        issuer=issuer,
    )
    key.full_clean()
    key.save(force_insert=True)
    return key, text


def revoke(key: ApiKey) -> None:
    """Refuse the key from now on. It cannot be undone; a second call changes nothing."""
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
    key.refresh_from_db(fields=["revoked_at"])


def rotate(key: ApiKey, overlap: timedelta, *, issuer: str = "") -> tuple[ApiKey, str]:
    """Replace a key: its successor, and the text that is shown once.

    Both keys work until `overlap` has passed, then the old one expires. The new key has
    the same rights, limits, budgets and length of life; its budgets start at nothing
    spent, because the ledger counts each key by its own name. Raises ValidationError
    where the key is revoked or expired, or where `overlap` is negative.
    """
    if overlap < timedelta(0):
        raise ValidationError("The overlap cannot be negative.")
    with transaction.atomic():
        old = ApiKey.objects.select_for_update().get(pk=key.pk)
        now = timezone.now()
        if old.state(now) != "active":
            raise ValidationError(f"This key is {old.state(now)}: issue a new one.")
        new, text = issue(
            customer=old.customer,
            name=old.name,
            scopes=old.scopes,
            allowed_models=old.allowed_models,
            tags=old.tags,
            allowed_tags=old.allowed_tags,
            expires_at=_same_life(old, now),
            replaces=old,
            limits=old.minute_limits,
            cache_policy=old.cache_policy,
            issuer=issuer,
        )
        _copy_budgets(old, new)
        old.expires_at = min(old.expires_at or now + overlap, now + overlap)
        old.save(update_fields=["expires_at"])
    key.refresh_from_db(fields=["expires_at"])
    return new, text


def _same_life(old: ApiKey, now: datetime) -> datetime | None:
    return now + (old.expires_at - old.created_at) if old.expires_at else None


def _copy_budgets(old: ApiKey, new: ApiKey) -> None:
    # Without them a rotated key would have no limit at all.
    for budget in Budget.objects.filter(api_key=old):
        budget.pk = None
        budget._state.adding = True
        budget.api_key = new
        budget.save()
