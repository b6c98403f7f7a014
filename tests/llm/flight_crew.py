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
from llm.coalesce.flights import SharedCalls
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
    flights: SharedCalls = field(init=False)

    def __post_init__(self) -> None:
        self.store = Store(self.url, timeout_s=self.timeout_s, prefix=self.prefix)
        self.cache = Cache(self.store)
        self.flights = SharedCalls(self.store, self.cache, self.url, self.name)

    async def start(self) -> None:
        """Returns once it hears what others say."""
        self.flights.start()
        await self.hearing()

    async def hearing(self) -> None:
        """Return once it hears what others say."""
        channel = f"{self.prefix}:flights:{self.name}"
        async with redis.from_url(self.url) as client:
            while not (await client.pubsub_numsub(channel))[0][1]:
                await asyncio.sleep(0)

    async def stop(self) -> None:
        await self.flights.stop()
        await self.store.close()

    async def die(self) -> None:
        """End as by kill -9: nobody is told, and its connections are closed."""
        self.flights._led.clear()
        await self.stop()

    async def look(
        self, place: CachePlace, wanted: Directives = DEFAULT
    ) -> tuple[Entry | None, SharedCall | None, bool]:
        return await self.flights.look(place, wanted)

    async def lead(self, place: CachePlace) -> SharedCall:
        found, flight, leading = await self.look(place)
        assert (found, leading) == (None, True)
        assert flight is not None
        return flight

    async def follow(self, place: CachePlace) -> SharedCall:
        found, flight, leading = await self.look(place)
        assert (found, leading) == (None, False)
        assert flight is not None
        return flight

    async def leader(self, place: CachePlace) -> str:
        """Who leads, by Redis; '' for nobody."""
        name = f"{self.prefix}:lead:{{{place.key}}}"
        found: bytes | None = await self.store.command("GET", name)
        return (found or b"").decode()

    async def say(self, to: str, message: dict[str, Any]) -> None:
        """A genuine message of this process."""
        self.flights._bus.send(to, message)


async def until(flight: SharedCall, count: int) -> list[bytes]:
    """The events once there are `count`, or once it has ended."""
    while len(flight.events) < count and flight.state is SharedCallState.FLYING:
        await flight._news()
    return flight.events


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
    [followed] = follower.flights._followed.values()
    before = followed.heard_at
    while followed.heard_at == before:
        await asyncio.sleep(0.01)


def redis_url() -> str:
    url: str = settings.REDIS_URL
    return url
