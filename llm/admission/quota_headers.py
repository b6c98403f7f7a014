"""What is left of a caller's quota, for answers that took nothing of it."""

import asyncio
import time
import uuid
from dataclasses import dataclass, replace

from django.utils import timezone

from billing.auth.lookups import Lookups
from billing.standing import used_today
from llm.admission.authentication import Authentication
from llm.configuration.committed import CommittedConfig
from llm.replies import headers
from llm.replies.limit_headers import merge
from llm.types import Call
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.errors import GatewayError, NotAuthenticated, NotPermitted
from valuecanvas.core.storage.lru import Lru

# Whoever sends rubbish in a loop costs the database one look in this time, in seconds.
KEPT_S = 1.0
WITHIN_S = 1.0
SIZE = 10_000
TOLD = "x-ratelimit-limit-requests"
# Nobody to tell it of; or the database is away, and nobody waits for it.
_SILENT = (401, 500, 503)


@dataclass(frozen=True, slots=True)
class _Known:
    """As of `at`, monotonic."""

    at: float
    used: int
    limit: int


class QuotaHeaders:
    """Tells refused callers how they stand. One per process."""

    def __init__(
        self, authentication: Authentication, config: CommittedConfig, db: DbThread
    ) -> None:
        self._authentication = authentication
        self._config = config
        self._lookups = Lookups(used_today, db)
        self._known: Lru[uuid.UUID, _Known] = Lru(SIZE)

    async def tell(self, call: Call, error: GatewayError) -> None:
        """Add the headers of the day's quota to `error`, where they can be known.

        Raises NotAuthenticated: a wrong key is told so, whatever else is wrong.
        """
        if error.status in _SILENT or TOLD in error.headers:
            return
        try:
            async with asyncio.timeout(WITHIN_S):
                told = await self._told_of_anybody(call)
        except NotAuthenticated:
            raise
        except (GatewayError, TimeoutError):
            return
        error.headers = merge(told, error.headers)

    async def _told_of_anybody(self, call: Call) -> dict[str, str]:
        """Of the user that is named, or of the key's own where it may not name one."""
        try:
            return await self._told(call)
        except NotPermitted:
            return await self._told(replace(call, on_behalf=None, user=""))

    async def _told(self, call: Call) -> dict[str, str]:
        who = await self._authentication.identify(call)
        known = self._known.get(who.customer_id)
        if known is None or time.monotonic() - known.at >= KEPT_S:
            at = time.monotonic()
            # First, as a change of the caller or its tier comes with the snapshot.
            tiers = (await self._config.latest()).tiers
            who = await self._authentication.identify(call)
            used = await self._lookups.get(who.customer_id) or 0
            tier = tiers.get(who.tier)
            known = _Known(at, used, tier.daily_requests if tier else 0)
            self._known.put(who.customer_id, known)
        return headers.quota(known.used, known.limit, timezone.now())
