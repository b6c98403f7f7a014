"""Who leads and who follows: in this process by a dict, between processes by Redis."""

import asyncio
import time
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from redis.exceptions import RedisError

from llm.cache.cache import Cache
from llm.cache.directives import Directives
from llm.cache.entry import Entry
from llm.coalesce.bus import Bus
from llm.coalesce.sides import Followed, Led
from llm.coalesce.watch import LeaderWatch
from llm.shared_call import SharedCall, SharedCallState, SharedFailure
from llm.types import CachePlace
from valuecanvas.core.cancel import end
from valuecanvas.core.errors import GatewayError
from valuecanvas.core.storage.store import Script, Store, StoreDown

log = structlog.get_logger("llm.coalesce")
LOOK = Script.of(Path(__file__).with_name("look.lua").read_text())
GIVE_UP = Script.of(Path(__file__).with_name("give_up.lua").read_text())
# Beats of a leader in one lease: it may miss a few.
BEATS = 6
STOP_S = 1.0


def lease_ms() -> int:
    """How long a lead is held without a sign of life."""
    return int(settings.COALESCE_LEASE_S * 1000)


class SharedCalls:
    """The calls under way. One per process, on one event loop."""

    def __init__(self, store: Store, cache: Cache, bus_url: str, me: str) -> None:
        self._store = store
        self._cache = cache
        self._bus = Bus(bus_url, store, me, self._heard)
        self._watch = LeaderWatch(self._bus, self._leaders, self._bury)
        self._led: dict[str, Led] = {}
        self._followed: dict[str, Followed] = {}
        self._task: asyncio.Task[None] | None = None
        self._giving_up: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._bus.start()
        self._watch.start()
        self._task = asyncio.create_task(self._beat())

    async def stop(self) -> None:
        if self._task is not None:
            await end(self._task)
        await self._watch.stop()
        for led in list(self._led.values()):
            self.failed(led.flight, None)
        self.lose_followed()
        if self._giving_up:
            await asyncio.wait(self._giving_up, timeout=STOP_S)
        await self._bus.stop()

    async def look(
        self, place: CachePlace, wanted: Directives
    ) -> tuple[Entry | None, SharedCall | None, bool]:
        """(a stored answer, or a flight, and whether the caller leads it)."""
        if not wanted.read:
            return None, None, False
        found = self._under_way(place)
        if found is not None:
            return None, found, False
        # Taken before the first await: of two callers here, one leads.
        led = Led(SharedCall(place.key, relay=self._relay), place)
        self._led[place.key] = led
        try:
            value, leader = await self._store.run_on(
                LOOK,
                (self._cache.name(place), self._lead_name(place.key)),
                self._bus.me,
                lease_ms(),
            )
        except (StoreDown, RedisError):
            # This process by itself, then.
            return None, led.flight, True
        except BaseException:
            # Cancelled: whoever has followed meanwhile starts anew.
            self.failed(led.flight, None)
            raise
        entry = self._cache.open(place, wanted, value) if value else None
        if entry is not None:
            led.flight.land(entry)
            self._drop(led)
            return entry, None, False
        if value or leader.decode() == self._bus.me:
            # A stored answer that may not be used (too old, planted) is replaced.
            return None, led.flight, True
        return None, self._follow(led, leader.decode()), False

    def landed(self, flight: SharedCall, entry: Entry) -> None:
        """The leader has the whole answer."""
        flight.land(entry)
        self._forget(flight)

    def failed(self, flight: SharedCall, error: GatewayError | None) -> None:
        """The leader has no answer; without `error` the others try themselves."""
        if error is None:
            flight.lose()
        else:
            # A copy: the leader's own gets headers that are only its caller's.
            told = {**error.body()["error"], "status": error.status}
            flight.fail(SharedFailure(told, error.headers))
        self._forget(flight)

    def unshared(self, flight: SharedCall) -> None:
        """The leader's answer cannot be given to others: they ask by themselves."""
        flight.unshare()
        self._forget(flight)

    def passed_by(self, flight: SharedCall) -> None:
        """Somebody found it, but does not follow."""
        if not flight.followers:
            self._left(flight)

    async def given_up(self) -> None:
        """Return once Redis knows of every lead given up so far, or does not answer."""
        if self._giving_up:
            await asyncio.wait(self._giving_up)

    def lose_followed(self) -> None:
        """What other processes lead is waited for no longer."""
        for followed in list(self._followed.values()):
            self._ended(followed)
            followed.flight.lose()

    def _under_way(self, place: CachePlace) -> SharedCall | None:
        led, followed = self._led.get(place.key), self._followed.get(place.key)
        found = led or followed
        return found.flight if found else None

    def _follow(self, led: Led, leader: str) -> SharedCall:
        """Turn a flight that was to be led into one that another process leads."""
        del self._led[led.place.key]
        led.flight.relay = None
        led.flight.left = self._left
        followed = Followed(led.flight, led.place, leader)
        self._followed[led.place.key] = followed
        self._ask(followed)
        return led.flight

    def _left(self, flight: SharedCall) -> None:
        """Nobody here follows it any more: its leader need not go on for us."""
        followed = self._followed.get(flight.key)
        if followed is None or followed.flight is not flight:
            return
        self._ended(followed)
        # Who has found it, and is about to follow, starts anew.
        flight.lose()
        leave = {"t": "leave", "k": flight.key, "from": self._bus.me}
        self._bus.send(followed.leader, leave)

    def _ask(self, followed: Followed) -> None:
        ask = {"t": "follow", "k": followed.place.key, "from": self._bus.me}
        self._bus.send(followed.leader, ask)

    def _forget(self, flight: SharedCall) -> None:
        led = self._led.get(flight.key)
        if led is not None and led.flight is flight:
            self._drop(led)
            self._give_up(flight.key)

    def _give_up(self, key: str) -> None:
        task = asyncio.create_task(self._give_up_lead(key, self._bus.me))
        self._giving_up.add(task)
        task.add_done_callback(self._giving_up.discard)

    def _drop(self, led: Led) -> None:
        self._led.pop(led.place.key, None)

    async def _give_up_lead(self, key: str, leader: str) -> None:
        if leader == self._bus.me and key in self._led:
            # Somebody here leads the same anew, by the same name in Redis.
            return
        try:
            await self._store.run(GIVE_UP, self._lead_name(key), leader, lazy=True)
        except (StoreDown, RedisError):
            log.debug("coalesce.lead_kept")

    def _lead_name(self, key: str) -> str:
        return f"{self._store.prefix}:lead:{{{key}}}"

    # Leading: what other processes hear.

    def _relay(self, flight: SharedCall, events: list[bytes]) -> None:
        led = self._led.get(flight.key)
        if led is None:
            return
        for process in led.processes:
            self._tell(led, process, events)

    def _tell(self, led: Led, process: str, events: list[bytes]) -> None:
        message = led.news(process, events)
        self._bus.send(process, message, last="s" in message)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(settings.COALESCE_LEASE_S / BEATS)
            for led in list(self._led.values()):
                for process in led.processes:
                    self._tell(led, process, [])
            await self._renew()
            self._miss()

    async def _renew(self) -> None:
        for key in list(self._led):
            try:
                await self._store.command("PEXPIRE", self._lead_name(key), lease_ms())
            except (StoreDown, RedisError):
                return

    def _miss(self) -> None:
        """A leader that was not heard for its lease is dead."""
        now = time.monotonic()
        for followed in list(self._followed.values()):
            if now - followed.heard_at > settings.COALESCE_LEASE_S:
                self._ended(followed)
                followed.flight.lose()
            elif not followed.expected:
                # It may have been deaf when it was asked.
                self._ask(followed)

    def _leaders(self) -> set[str]:
        return {followed.leader for followed in self._followed.values()}

    async def _bury(self, leader: str) -> None:
        """Its process has died: whoever follows it here starts anew."""
        for key, followed in list(self._followed.items()):
            if followed.leader == leader and self._followed.get(key) is followed:
                self._ended(followed)
                await self._give_up_lead(key, leader)
                followed.flight.lose()

    # Following: what this process hears.

    def _heard(self, message: dict[str, Any]) -> None:
        key = str(message.get("k"))
        if message.get("t") == "follow":
            self._begin_to_tell(key, str(message.get("from")))
        elif message.get("t") == "leave":
            self._tell_no_more(key, str(message.get("from")))
        elif message.get("t") == "news" and key in self._followed:
            self._news(self._followed[key], message)

    def _begin_to_tell(self, key: str, process: str) -> None:
        led = self._led.get(key)
        if led is None:
            # It ended meanwhile: the answer is stored, or there is none. Should Redis
            # still name this process, all would be sent here again and again.
            self._give_up(key)
            self._bus.send(process, {"t": "news", "k": key, "n": 0, "s": "lost"})
            return
        if process not in led.processes:
            led.flight.join()
        led.processes[process] = 0
        self._tell(led, process, led.flight.events)

    def _tell_no_more(self, key: str, process: str) -> None:
        led = self._led.get(key)
        if led is not None and led.processes.pop(process, None) is not None:
            led.flight.leave()

    def _news(self, followed: Followed, message: dict[str, Any]) -> None:
        flight = followed.flight
        followed.heard_at = time.monotonic()
        if message.get("n") != followed.expected:
            self._ended(followed)
            flight.lose()
            return
        followed.expected += 1
        events = [event.encode() for event in message.get("e", ())]
        if events:
            flight.add(events)
        state = message.get("s")
        if state is None:
            return
        self._ended(followed)
        entry = followed.entry_in(message)
        if entry is not None:
            flight.land(entry)
        elif state == SharedCallState.FAILED.value:
            error, sent = message.get("error"), message.get("headers")
            flight.fail(SharedFailure(error or {}, sent))
        elif state == SharedCallState.UNSHARED.value:
            flight.unshare()
        else:
            flight.lose()

    def _ended(self, followed: Followed) -> None:
        self._followed.pop(followed.place.key, None)
