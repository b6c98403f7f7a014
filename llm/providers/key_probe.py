"""Checks whether a provider accepts our key, after an answer that says it does not."""

import asyncio
import time
from dataclasses import dataclass

import aiohttp
import structlog

from llm.configuration.model_facts import ProviderFacts
from llm.providers.address_guard import GUARD
from llm.providers.base import Verdict
from llm.providers.error_body import read_error

log = structlog.get_logger("llm.providers")
WITHIN_S = 5.0
# A result is reused for this time, in seconds.
FRESH_S = 5.0
_MOST_BYTES = 65_536
_REFUSED = (Verdict.AUTH, Verdict.BILLING)


@dataclass(slots=True)
class _Probe:
    task: "asyncio.Task[bool | None]"
    fresh_until: float


class KeyProbe:
    """Calls `GET /models`, once at a time for each provider and key."""

    def __init__(self, pool: aiohttp.ClientSession) -> None:
        self._pool = pool
        self._probes: dict[tuple[str, str], _Probe] = {}

    async def is_refused(self, provider: ProviderFacts) -> bool | None:
        """True: the key is bad or unpaid. False: it is good. None: unknown."""
        now = time.monotonic()
        name = (provider.base_url, provider.api_key)
        found = self._probes.get(name)
        if found is None or (found.task.done() and found.fresh_until < now):
            self._forget(now)
            task = asyncio.create_task(self._run(provider))
            found = self._probes[name] = _Probe(task, now + WITHIN_S + FRESH_S)
        return await asyncio.shield(found.task)

    async def close(self) -> None:
        """Cancel the probes under way."""
        for found in self._probes.values():
            found.task.cancel()
        await asyncio.gather(
            *(found.task for found in self._probes.values()), return_exceptions=True
        )

    def _forget(self, now: float) -> None:
        for name, found in list(self._probes.items()):
            if found.task.done() and found.fresh_until < now:
                del self._probes[name]

    async def _run(self, provider: ProviderFacts) -> bool | None:
        try:
            async with asyncio.timeout(WITHIN_S):
                refused = await self._fetch(provider)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            log.info("key.unchecked", provider=provider.key, error=type(error).__name__)
            return None
        log.warning("key.checked", provider=provider.key, refused=refused)
        return refused

    async def _fetch(self, provider: ProviderFacts) -> bool | None:
        GUARD.require_https(provider.base_url)
        headers = {"Accept-Encoding": "identity", "User-Agent": "valuecanvas"}
        if provider.api_key:
            headers["Authorization"] = f"Bearer {provider.api_key}"
        async with self._pool.get(
            f"{provider.base_url}/models", headers=headers, allow_redirects=False
        ) as response:
            if response.status == 200:
                return False
            error = read_error(await response.content.read(_MOST_BYTES))
        verdict = provider.kind.classify(response.status, error)
        return True if verdict in _REFUSED else None
