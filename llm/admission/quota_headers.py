"""Adds quota headers to refusals: what is left of the caller's daily quota."""

import asyncio
import time
import uuid
from dataclasses import dataclass, replace

from django.utils import timezone

from billing.accounting.spend import load_used_today
from billing.auth.lookups import Lookups
from llm.admission.authentication import Authentication
from llm.configuration.committed import CommittedConfig
from llm.replies import headers
from llm.replies.limit_headers import merge
from llm.types import Call
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.errors import GatewayError, NotAuthenticated, NotPermitted
from valuecanvas.core.storage.lru import Lru

# A caller that sends bad requests in a loop costs one query in this time, in seconds.
KEPT_S = 1.0
WITHIN_S = 1.0
SIZE = 10_000
LIMIT_HEADER = "x-ratelimit-limit-requests"
# The caller is unknown, or the database is down and is not waited for.
_WITHOUT = (401, 500, 503)


@dataclass(frozen=True, slots=True)
class _Known:
    """As of `at`, monotonic."""

    at: float
    used: int
    limit: int


class QuotaHeaders:
    """Looks up the quota of refused callers. One per process."""

    def __init__(
        self, authentication: Authentication, config: CommittedConfig, db: DbThread
    ) -> None:
        self._authentication = authentication
        self._config = config
        self._lookups = Lookups(load_used_today, db)
        self._known: Lru[uuid.UUID, _Known] = Lru(SIZE)

    async def add_to(self, call: Call, error: GatewayError) -> None:
        """Add the headers of the daily quota to `error`, if they can be found.

        Raises NotAuthenticated: a wrong key goes before any other error.
        """
        if error.status in _WITHOUT or LIMIT_HEADER in error.headers:
            return
        try:
            async with asyncio.timeout(WITHIN_S):
                found = await self._headers_or_own(call)
        except NotAuthenticated:
            raise
        except (GatewayError, TimeoutError):
            return
        error.headers = merge(found, error.headers)

    async def _headers_or_own(self, call: Call) -> dict[str, str]:
        """The quota of the user that is named, or of the key's own user."""
        try:
            return await self._headers(call)
        except NotPermitted:
            return await self._headers(replace(call, on_behalf=None, user=""))

    async def _headers(self, call: Call) -> dict[str, str]:
        principal = await self._authentication.identify(call)
        known = self._known.get(principal.customer_id)
        if known is None or time.monotonic() - known.at >= KEPT_S:
            at = time.monotonic()
            # First, as a change of the caller or its tier comes with the snapshot.
            tiers = (await self._config.latest()).tiers
            principal = await self._authentication.identify(call)
            used = await self._lookups.get(principal.customer_id) or 0
            tier = tiers.get(principal.tier)
            known = _Known(at, used, tier.daily_requests if tier else 0)
            self._known.put(principal.customer_id, known)
        return headers.quota(known.used, known.limit, timezone.now())
