"""Remembers callers who are out of quota, and refuses them without the database.

A refusal is remembered only while nothing was changed since it was decided, so that a
raised quota counts at once: every change of configuration replaces a mark in Redis
(valuecanvas/core/db/epoch.py), and the mark is read before the refusal is decided.
"""

import secrets
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass

from redis.exceptions import RedisError

from billing.ledger import QuotaRefused
from llm.replies.headers import seconds_to_midnight
from valuecanvas.core.db.epoch import hint_key
from valuecanvas.core.storage.store import Store, StoreDown

# A refunded unit counts after this long at the latest, in seconds.
KEPT_S = 2.0
MOST = 20_000


@dataclass(slots=True)
class _Denial:
    hint: bytes
    read_at: float
    until: float
    answer: QuotaRefused | None = None


class QuotaDenials:
    """The process's remembered refusals. Without Redis there are none."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._denials: OrderedDict[uuid.UUID, _Denial] = OrderedDict()

    async def find(self, customer: uuid.UUID) -> QuotaRefused | None:
        """The refusal that still applies to this customer, if any."""
        denial = self._denials.get(customer)
        if denial is None:
            return None
        if time.monotonic() >= denial.until:
            del self._denials[customer]
            return None
        if denial.answer is None or await self._hint() != denial.hint:
            return None
        return denial.answer

    async def note(
        self, customer: uuid.UUID, answer: QuotaRefused, asked_at: float
    ) -> None:
        """Remember that the ledger refused a request sent at `asked_at` (monotonic).

        The first refusal only reads the mark: a refusal may be kept under it only if it
        was decided afterwards.
        """
        denial = self._denials.get(customer)
        if denial is not None and time.monotonic() < denial.until:
            if asked_at > denial.read_at:
                denial.answer = answer
            return
        hint = await self._hint()
        if hint is None:
            return
        kept = min(KEPT_S, seconds_to_midnight(answer.at))
        now = time.monotonic()
        self._denials[customer] = _Denial(hint, now, now + kept)
        if len(self._denials) > MOST:
            self._denials.popitem(last=False)

    async def _hint(self) -> bytes | None:
        key = hint_key(self._store.prefix)
        try:
            hint: bytes | None = await self._store.command("GET", key)
            if hint is None:
                # Redis was emptied; there may have been changes meanwhile.
                await self._store.command("SET", key, secrets.token_hex(8), "NX")
                hint = await self._store.command("GET", key)
        except (StoreDown, RedisError):
            return None
        return hint
