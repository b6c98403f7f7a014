"""The identity provider's public keys (JWKS), cached and refreshed."""

import asyncio
import math
import time
from typing import Any

import aiohttp
import jwt
import orjson
import structlog

from valuecanvas.core.errors import Unavailable

TIMEOUT_S = 3.0
MAX_BYTES = 262_144
# At most one request to the provider in this time.
FETCH_EVERY_S = 30.0
FRESH_S = 300.0
# How long cached keys are used while the provider cannot be reached.
STALE_S = 3600.0
# The algorithm follows from the kind of key, never from a token.
ALGORITHMS: dict[tuple[Any, Any], str] = {
    ("RSA", None): "RS256",
    ("EC", "P-256"): "ES256",
}

log = structlog.get_logger("billing")


class _Unusable(Exception):
    """The answer is not a key set."""


class Jwks:
    """Keys by `kid`. Belongs to one event loop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._loaded_at = -math.inf
        self._tried_at = -math.inf
        self._failed = False
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, kid: str) -> jwt.PyJWK | None:
        """The key named `kid`, or None.

        Raises Unavailable where the provider cannot be reached and the key is not known.
        """
        if self._fetching or self._due(kid):
            await self._refresh()
        if time.monotonic() - self._loaded_at > STALE_S:
            self._keys = {}
        found = self._keys.get(kid)
        if found is None and self._failed:
            raise Unavailable(
                "The keys that sign tokens cannot be fetched now.",
                headers={"Retry-After": str(int(FETCH_EVERY_S))},
            )
        return found

    def _due(self, kid: str) -> bool:
        now = time.monotonic()
        wanted = kid not in self._keys or now - self._loaded_at > FRESH_S
        return wanted and now - self._tried_at >= FETCH_EVERY_S

    async def _refresh(self) -> None:
        if self._fetching is None:
            self._tried_at = time.monotonic()
            self._fetching = asyncio.create_task(self._load())
        # Shielded: one cancelled caller must not cancel the fetch for the others.
        await asyncio.shield(self._fetching)

    async def _load(self) -> None:
        try:
            self._keys = _parse(await _fetch(self._url))
            self._loaded_at = time.monotonic()
            self._failed = False
        except (aiohttp.ClientError, OSError, _Unusable) as error:
            self._failed = True
            log.warning("jwks.fetch_failed", reason=type(error).__name__)
        finally:
            self._fetching = None


async def _fetch(url: str) -> bytes:
    limit = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with (
        aiohttp.ClientSession(timeout=limit) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        if answer.status != 200:
            raise _Unusable(f"status {answer.status}")
        body = bytearray()
        async for chunk in answer.content.iter_chunked(65_536):
            body += chunk
            if len(body) > MAX_BYTES:
                raise _Unusable("too large")
        return bytes(body)


def _parse(body: bytes) -> dict[str, jwt.PyJWK]:
    try:
        keys = orjson.loads(body)["keys"]
        found = {row["kid"]: _key(row) for row in keys if "kid" in row}
    except (ValueError, TypeError, KeyError) as error:
        raise _Unusable(type(error).__name__) from error
    return {kid: key for kid, key in found.items() if key}


def _key(row: dict[str, Any]) -> jwt.PyJWK | None:
    """A key that may sign tokens; None for other kinds and uses, and broken ones."""
    algorithm = ALGORITHMS.get((row.get("kty"), row.get("crv")))
    fits = row.get("alg", algorithm) == algorithm and row.get("use", "sig") == "sig"
    if not (algorithm and fits):
        return None
    try:
        return jwt.PyJWK(row, algorithm)
    except jwt.PyJWTError as error:
        log.warning("jwks.key_skipped", reason=type(error).__name__)
        return None
