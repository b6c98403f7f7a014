"""Reads a provider's key again when the provider refuses it, off the event loop."""

import asyncio
from dataclasses import replace

import structlog
from django.db import Error

from llm.models import Provider
from llm.providers.base import Verdict
from llm.providers.stored_keys import read_after_refusal
from llm.types import Candidate
from llm.upstream.http import Failed
from valuecanvas.core.crypto import UnreadableSecret
from valuecanvas.core.db.db_thread import DbThread

log = structlog.get_logger("llm.upstream")
WAIT_S = 5.0


class KeyRefresh:
    """Finds the new key of a provider whose key is a reference."""

    def __init__(self, db: DbThread) -> None:
        self._db = db

    async def renew(self, candidate: Candidate, failure: Failed) -> Candidate | None:
        """The candidate with another key than the refused one; None: there is none."""
        provider = candidate.provider
        if failure.verdict is not Verdict.AUTH or not provider.key_reference:
            return None
        try:
            async with asyncio.timeout(WAIT_S):
                key = await self._db.run(read_after_refusal, provider.key)
        except (TimeoutError, Error, UnreadableSecret, Provider.DoesNotExist) as error:
            log.warning(
                "provider.key_not_renewed",
                provider=provider.key,
                error=type(error).__name__,
            )
            return None
        if key == provider.api_key:
            return None
        return replace(candidate, provider=replace(provider, api_key=key))
