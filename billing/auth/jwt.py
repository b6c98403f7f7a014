"""Verification of bearer tokens (JWT) of an identity provider such as Supabase."""

import hashlib
import time
from dataclasses import dataclass
from typing import Any

import jwt
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from billing.auth.jwks import Jwks
from valuecanvas.core.errors import NotAuthenticated
from valuecanvas.core.storage.lru import Lru

REMEMBER_S = 60.0
REMEMBER_COUNT = 10_000
MAX_LENGTH = 16_384
ROLE = "authenticated"
LEAST_SECRET_BYTES = 32

_REQUIRED = ["exp", "iss", "aud", "sub"]


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified token: its user, and its end (Unix seconds)."""

    sub: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class _Verified:
    claims: Claims
    until: float  # monotonic seconds


class JwtVerifier:
    """Verifies tokens of the one kind that is configured. Belongs to one event loop.

    Raises ImproperlyConfigured where JWT_SECRET is too short to be safe.
    """

    def __init__(self) -> None:
        self._secret: str = settings.JWT_SECRET
        if self._secret and len(self._secret.encode()) < LEAST_SECRET_BYTES:
            raise ImproperlyConfigured(
                f"JWT_SECRET must have at least {LEAST_SECRET_BYTES} bytes."
            )
        self._jwks = Jwks(settings.JWT_JWKS_URL) if settings.JWT_JWKS_URL else None
        self._verified: Lru[bytes, _Verified] = Lru(REMEMBER_COUNT)

    @property
    def enabled(self) -> bool:
        return bool(self._secret or self._jwks)

    async def verify(self, token: str) -> Claims:
        """The claims of a valid token.

        Raises NotAuthenticated, or Unavailable where the signing keys can't be fetched.
        """
        # By the whole digest: tokens with the same beginning must never share an entry.
        name = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._verified.get(name)
        if known and time.monotonic() < known.until:
            if time.time() < known.claims.expires_at:
                return known.claims
            raise _expired_error()
        claims = await self._check(token)
        self._remember(name, claims)
        return claims

    async def _check(self, token: str) -> Claims:
        if len(token) > MAX_LENGTH:
            raise _invalid_error()
        try:
            return _claims(await self._decode(token))
        except jwt.ExpiredSignatureError as error:
            raise _expired_error() from error
        # The last two: numbers and nesting beyond what the JSON reader copes with.
        except (jwt.PyJWTError, ValueError, OverflowError, RecursionError) as error:
            raise _invalid_error() from error

    async def _decode(self, token: str) -> dict[str, Any]:
        if self._jwks is None:
            return _decode(token, self._secret, "HS256")
        # Of the header only the key id is used, and only if we have that key.
        kid = jwt.get_unverified_header(token).get("kid")
        key = await self._jwks.key(kid) if kid else None
        if key is None:
            raise _invalid_error()
        return _decode(token, key, key.algorithm_name)

    def _remember(self, name: bytes, claims: Claims) -> None:
        left = claims.expires_at - settings.JWT_LEEWAY_S - time.time()
        if left > 0:
            until = time.monotonic() + min(REMEMBER_S, left)
            self._verified.put(name, _Verified(claims, until))


def _decode(token: str, key: jwt.PyJWK | str, algorithm: str) -> dict[str, Any]:
    return jwt.decode(
        token,
        key,
        algorithms=[algorithm],
        audience=settings.JWT_AUDIENCE,
        issuer=settings.JWT_ISSUER,
        leeway=settings.JWT_LEEWAY_S,
        options={"require": _REQUIRED, "enforce_minimum_key_length": True},
    )


def _claims(payload: dict[str, Any]) -> Claims:
    # The provider sets the role at the top; users can edit user_metadata themselves.
    if payload.get("role") != ROLE:
        raise _invalid_error()
    # Supabase gives an anonymous user that role as well.
    if payload.get("is_anonymous") and not settings.JWT_ALLOW_ANONYMOUS:
        raise NotAuthenticated(
            "Anonymous users may not call this; sign in.", code="anonymous_user"
        )
    return Claims(payload["sub"], float(int(payload["exp"])) + settings.JWT_LEEWAY_S)


def _invalid_error() -> NotAuthenticated:
    return NotAuthenticated("This token is not valid here.", code="invalid_token")


def _expired_error() -> NotAuthenticated:
    return NotAuthenticated("This token has expired.", code="token_expired")
