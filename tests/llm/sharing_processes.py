"""Processes that coalesce, several in one test: each has a store and a bus of its own."""

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio as redis
from django.conf import settings

from llm.cache.cache import Cache
from llm.cache.directives import DEFAULT, Directives
from llm.cache.entry import Entry
from llm.coalesce.shared_calls import SharedCalls
from llm.shared_call import SharedCall, SharedCallState
from llm.types import CachePlace
from valuecanvas.core.storage.store import Store

BODY = b'{"choices":[{"message":{"content":"Hi."},"finish_reason":"stop"}]}'


def make_entry(body: bytes = BODY, **fields: Any) -> Entry:
    values = {
        "at": time.time(),
        "provider": "p",
        "upstream_model": "m",
        "cost": 7,
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "cached_tokens": 0,
    }
    return Entry(body=body, **{**values, **fields})


def make_place(tenant: str = "c:1") -> CachePlace:
    return CachePlace(secrets.token_hex(32), tenant)


@dataclass
class Process:
    """What one process has. Its store is patient: the machine may be busy."""

    url: str
    prefix: str
    timeout_s: float = 5.0
    name: str = field(default_factory=lambda: f"1-{secrets.token_hex(4)}")
    store: Store = field(init=False)
    cache: Cache = field(init=False)
    shared_calls: SharedCalls = field(init=False)

    def __post_init__(self) -> None:
        self.store = Store(self.url, timeout_s=self.timeout_s, prefix=self.prefix)
        self.cache = Cache(self.store)
        self.shared_calls = SharedCalls(self.store, self.cache, self.url, self.name)

    async def start(self) -> None:
        """Returns once it hears what others say."""
        self.shared_calls.start()
        await self.hearing()

    async def hearing(self) -> None:
        """Return once it hears what others say."""
        channel = f"{self.prefix}:flights:{self.name}"
        async with redis.from_url(self.url) as client:
            while not (await client.pubsub_numsub(channel))[0][1]:
                await asyncio.sleep(0)

    async def stop(self) -> None:
        await self.shared_calls.stop()
        await self.store.close()

    async def die(self) -> None:
        """End as by kill -9: nobody is told, and its connections are closed."""
        self.shared_calls._led.clear()
        await self.stop()

    async def look(
        self, place: CachePlace, wanted: Directives = DEFAULT
    ) -> tuple[Entry | None, SharedCall | None, bool]:
        return await self.shared_calls.find_or_lead(place, wanted)

    async def lead(self, place: CachePlace) -> SharedCall:
        found, shared_call, leading = await self.look(place)
        assert (found, leading) == (None, True)
        assert shared_call is not None
        return shared_call

    async def follow(self, place: CachePlace) -> SharedCall:
        found, shared_call, leading = await self.look(place)
        assert (found, leading) == (None, False)
        assert shared_call is not None
        return shared_call

    async def leader(self, place: CachePlace) -> str:
        """Who leads, by Redis; '' for nobody."""
        name = f"{self.prefix}:lead:{{{place.key}}}"
        found: bytes | None = await self.store.command("GET", name)
        return (found or b"").decode()

    async def say(self, to: str, message: dict[str, Any]) -> None:
        """A genuine message of this process."""
        self.shared_calls._bus.send(to, message)


async def until(shared_call: SharedCall, count: int) -> list[bytes]:
    """The events once there are `count`, or once it has ended."""
    while (
        len(shared_call.events) < count and shared_call.state is SharedCallState.RUNNING
    ):
        await shared_call._wait_for_change()
    return shared_call.events


async def gone(process: Process, place: CachePlace) -> None:
    """Return once nobody leads."""
    while await process.leader(place):
        await asyncio.sleep(0)


async def renewed(process: Process, place: CachePlace) -> None:
    """Return once the leader's lease has been made longer again."""
    name, before = f"{process.prefix}:lead:{{{place.key}}}", 2**62
    while (left := await process.store.command("PTTL", name)) <= before:
        before = left
        await asyncio.sleep(0.01)


async def heard(follower: Process) -> None:
    """Return once the one whom it follows has said something."""
    [followed] = follower.shared_calls._followed.values()
    before = followed.heard_at
    while followed.heard_at == before:
        await asyncio.sleep(0.01)


def redis_url() -> str:
    url: str = settings.REDIS_URL
    return url
