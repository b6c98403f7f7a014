"""Checks API keys: the only place that decides which caller a key's text belongs to."""

import hmac
import time
from collections.abc import Mapping

from django.conf import settings

from billing.auth import keys
from billing.auth.key_facts import KeyFacts
from billing.auth.principal import Principal
from valuecanvas.core.errors import NotAuthenticated, NotPermitted

# Compared with if the key does not exist, so that both cases take the same time.
_NOBODY = "-" * 64


def authorization(sent: Mapping[str, str]) -> str | None:
    """The header Authorization of a request's META, or the same made of `x-api-key`."""
    key = sent.get("HTTP_X_API_KEY")
    return sent.get("HTTP_AUTHORIZATION") or (f"Bearer {key}" if key else None)


def bearer(authorization: str | None) -> str:
    """The token in an Authorization header. Raises NotAuthenticated."""
    if not authorization:
        raise NotAuthenticated(
            "Send your API key in the header 'Authorization: Bearer KEY' or 'x-api-key: KEY'.",
            code="missing_api_key",
        )
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise NotAuthenticated("Use the scheme Bearer: 'Authorization: Bearer KEY'.")
    return text.strip()


def prefix(text: str) -> str:
    """The prefix by which the key is looked up. Raises NotAuthenticated."""
    found = keys.parse(text)
    if found is None:
        raise unknown_key()
    return found


def prove(text: str, found: KeyFacts | None) -> Principal:
    """The caller with the key `text`; `found` is the row with its prefix.

    Raises NotAuthenticated, NotPermitted (suspended).
    """
    kept = found.digest if found else _NOBODY
    digests = (keys.digest(text), *keys.earlier_digests(text))
    if not any(hmac.compare_digest(kept, one) for one in digests):
        raise unknown_key()
    return require_valid(found)


def needs_upgrade(text: str, found: KeyFacts | None) -> bool:
    """Whether a proven key is stored under one of KEY_PEPPER_PREVIOUS."""
    return bool(
        settings.KEY_PEPPER_PREVIOUS and found and found.digest != keys.digest(text)
    )


def require_valid(found: KeyFacts | None) -> Principal:
    """The caller of a key that is still valid.

    Raises NotAuthenticated, NotPermitted (suspended).
    """
    if found is None:
        raise unknown_key()
    who = found.principal
    if found.revoked:
        raise NotAuthenticated("This API key was revoked.", code="api_key_revoked")
    if who.expires_at is not None and who.expires_at <= time.time():
        raise NotAuthenticated("This API key has expired.", code="api_key_expired")
    if who.suspended:
        raise suspended_error()
    return who


def unknown_key() -> NotAuthenticated:
    return NotAuthenticated("Incorrect API key provided.")


def suspended_error() -> NotPermitted:
    return NotPermitted("This customer is suspended.", code="customer_suspended")
