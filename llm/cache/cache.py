"""Reads and writes stored answers; a failure counts as a miss."""

import random
import time

import structlog
from django.conf import settings
from redis.exceptions import RedisError

from llm.cache import entry, key
from llm.cache.directives import Directives
from llm.cache.entry import Entry, Form
from llm.types import CachePlace, Call, Plan
from valuecanvas.core.cache_policy import CachePolicy, join_policies, wants_variety
from valuecanvas.core.storage.store import Store, StoreDown

log = structlog.get_logger("llm.cache")
ENDPOINTS = frozenset({"chat", "embeddings", "responses"})
TTL_JITTER = 0.1
# The flag `gateway.cache`.
SWITCH = "cache"


class Cache:
    """Access to the stored answers, which all processes share. One per process."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def place(self, call: Call, plan: Plan) -> CachePlace | None:
        """The place of this call's answer; None: it may not be cached."""
        wanted = call.directives
        if not (wanted.read or wanted.write) or call.endpoint not in ENDPOINTS:
            return None
        if not settings.LLM_CACHE_ENABLED or SWITCH in plan.chosen.off:
            return None
        if not _may_repeat(plan):
            return None
        return CachePlace(key.digest(call.endpoint, plan), key.tenant(plan))

    async def read(self, place: CachePlace, wanted: Directives) -> Entry | None:
        """The answer stored at `place`, if it may be used. None if Redis is down."""
        if not wanted.read:
            return None
        try:
            value: bytes | None = await self._store.command("GET", self.name(place))
        except (StoreDown, RedisError):
            return None
        return self.open(place, wanted, value) if value else None

    def open(self, place: CachePlace, wanted: Directives, value: bytes) -> Entry | None:
        """The answer in `value`, if it is genuine and young enough."""
        found = entry.unpack(value, tenant=place.tenant, key=place.key)
        if found is None:
            log.warning("cache.refused", key=place.key[:16])
            return None
        age = time.time() - found.at
        return (
            None if wanted.max_age_s is not None and age > wanted.max_age_s else found
        )

    def put(self, place: CachePlace, wanted: Directives, answer: Entry) -> None:
        """Store the answer in the background."""
        if not wanted.write or len(answer.body) > entry.MOST_BYTES:
            return
        if answer.form is not Form.ANY:
            return
        ttl = wanted.ttl_s or settings.LLM_CACHE_TTL_S
        # Spread, so that what was stored together does not expire together.
        spread = random.uniform(1 - TTL_JITTER, 1 + TTL_JITTER)  # noqa: S311
        value = entry.pack(answer, tenant=place.tenant, key=place.key)
        milliseconds = int(ttl * spread * 1000)
        self._store.post("SET", self.name(place), value, "PX", milliseconds)

    def name(self, place: CachePlace) -> str:
        """The answer's name in Redis; its lead has the same hash tag."""
        return f"{self._store.prefix}:cache:{{{place.key}}}"


def _may_repeat(plan: Plan) -> bool:
    """Whether one answer may serve several equal requests."""
    policy = join_policies(
        plan.model.cache_policy, plan.chosen.cache_policy, plan.principal.cache_policy
    )
    if policy == CachePolicy.AUTO:
        return not wants_variety(plan.body)
    return policy == CachePolicy.ALWAYS
