"""Limiters on stores of their own, as processes have them, and the questions asked."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
from django.conf import settings

from billing.minute_limits import MinuteLimits
from llm.limits.limiter import Limiter
from llm.limits.types import LimitRefused, MinuteUse, Subject
from tests.fixtures_billing import unique
from valuecanvas.core.ids import uuid7
from valuecanvas.core.storage.store import Store

LEASE_S = 60.0
Answer = MinuteUse | LimitRefused
OpenLimiter = Callable[..., "Process"]


def customer(
    requests: int | None = None,
    tokens: int | None = None,
    concurrent: int | None = None,
) -> Subject:
    """A customer never seen before, with these limits."""
    return Subject(f"c:{uuid7()}", MinuteLimits(requests, tokens, concurrent))


@dataclass(frozen=True)
class Process:
    """One process's limiter and its store."""

    limiter: Limiter
    store: Store

    async def take(
        self, *subjects: Subject, tokens: int = 0, lease_s: float = LEASE_S
    ) -> Answer:
        return await self.limiter.take(
            subjects, request_id=str(uuid7()), tokens=tokens, lease_s=lease_s
        )

    async def taken(self, *subjects: Subject, tokens: int = 0) -> MinuteUse:
        answer = await self.take(*subjects, tokens=tokens)
        assert isinstance(answer, MinuteUse)
        return answer

    async def refused(self, *subjects: Subject, tokens: int = 0) -> LimitRefused:
        answer = await self.take(*subjects, tokens=tokens)
        assert isinstance(answer, LimitRefused)
        return answer


@pytest.fixture
async def open_process() -> AsyncIterator[OpenLimiter]:
    """Opens limiters that share one prefix; `url` and `timeout_s` are the store's."""
    prefix, opened = unique("limits"), []

    def open_one(
        url: str = "",
        *,
        timeout_s: float = 5.0,
        kind: type[Limiter] = Limiter,
        owner: str = "",
    ) -> Process:
        store = Store(url or settings.REDIS_URL, timeout_s=timeout_s, prefix=prefix)
        opened.append(Process(kind(store, owner), store))
        return opened[-1]

    yield open_one
    for process in opened:
        await process.limiter.close()
        await process.store.close()


@pytest.fixture
def process(open_process: OpenLimiter) -> Process:
    return open_process()
