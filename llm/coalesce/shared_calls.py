"""Finds the leader of each call: by a dict in this process, by Redis between them."""

import asyncio
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from redis.exceptions import RedisError

from llm.cache.cache import Cache
from llm.cache.directives import Directives
from llm.cache.entry import Entry
from llm.coalesce.bus import Bus
from llm.coalesce.sides import FollowedCall, LedCall
from llm.coalesce.watch import LeaderWatch
from llm.shared_call import SharedCall, SharedCallState, SharedFailure
from llm.types import CachePlace
from valuecanvas.core.cancel import Background
from valuecanvas.core.errors import GatewayError
from valuecanvas.core.storage.store import Script, Store, StoreDown

log = structlog.get_logger("llm.coalesce")
FIND_OR_LEAD = Script.load(Path(__file__).with_name("find_or_lead.lua"))
GIVE_UP = Script.load(Path(__file__).with_name("give_up.lua"))
# Heartbeats of a leader in one lease. Followers wait for two, and no whole lease: its last
# message may have been lost while it passed Redis by.
BEATS = 6
SILENT_BEATS = 2
STOP_S = 1.0
# A leader answers within milliseconds. One that does not after so many requests, so many
# seconds apart, has lost Redis or is overloaded: its lease is too long to wait for.
REPLY_S = 1.0
MOST_ASKED = 5


def silence_s() -> float:
    """How long a leader that has answered may be silent."""
    beats = SILENT_BEATS * settings.COALESCE_LEASE_S / BEATS
    return min(float(settings.COALESCE_LEASE_S), max(beats, MOST_ASKED * REPLY_S))


def lease_ms() -> int:
    """How long a lead lasts without a heartbeat."""
    return int(settings.COALESCE_LEASE_S * 1000)


class SharedCalls(Background):
    """The calls under way. One per process, on one event loop."""

    def __init__(self, store: Store, cache: Cache, bus_url: str, me: str) -> None:
        self._store = store
        self._cache = cache
        self._bus = Bus(bus_url, store, me, self._receive)
        self._watch = LeaderWatch(self._bus, self._leaders, self._drop_dead)
        self._led: dict[str, LedCall] = {}
        self._followed: dict[str, FollowedCall] = {}
        self._giving_up: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._bus.start()
        self._watch.start()
        super().start()

    async def stop(self) -> None:
        await super().stop()
        await self._watch.stop()
        for led in list(self._led.values()):
            self.fail(led.call, None)
        self.lose_followed()
        if self._giving_up:
            await asyncio.wait(self._giving_up, timeout=STOP_S)
        await self._bus.stop()

    async def find_or_lead(
        self, place: CachePlace, wanted: Directives
    ) -> tuple[Entry | None, SharedCall | None, bool]:
        """Return a stored answer, or a shared call and whether the caller leads it."""
        if not wanted.read:
            return None, None, False
        found = self._find_local(place)
        if found is not None:
            return None, found, False
        # Taken before the first await: of two callers here, one leads.
        led = LedCall(SharedCall(place.key, on_events=self._send_events), place)
        self._led[place.key] = led
        try:
            value, leader = await self._store.run_on(
                FIND_OR_LEAD,
                (self._cache.name(place), self._lead_name(place.key)),
                self._bus.me,
                lease_ms(),
            )
        except (StoreDown, RedisError):
            # Without Redis this process shares calls only with itself.
            return None, led.call, True
        except BaseException:
            # Cancelled: those who followed meanwhile start again.
            self.fail(led.call, None)
            raise
        entry = self._cache.open(place, wanted, value) if value else None
        if entry is not None:
            led.call.complete(entry)
            self._led.pop(led.place.key, None)
            return entry, None, False
        if value or leader.decode() == self._bus.me:
            # A stored answer that may not be used (too old, planted) is replaced.
            return None, led.call, True
        return None, self._follow(led, leader.decode()), False

    def complete(self, call: SharedCall, entry: Entry) -> None:
        """End a call with the whole answer."""
        call.complete(entry)
        self._forget(call)

    def fail(self, call: SharedCall, error: GatewayError | None) -> None:
        """End a call without an answer; without `error` followers try themselves."""
        if error is None:
            call.lose()
        else:
            # A copy: the leader's own gets headers that are only its caller's.
            body = {**error.body()["error"], "status": error.status}
            call.fail(SharedFailure(body, error.headers))
        self._forget(call)

    def unshare(self, call: SharedCall) -> None:
        """End a call whose answer cannot be shared: followers start their own."""
        call.unshare()
        self._forget(call)

    def decline(self, call: SharedCall) -> None:
        """Do not follow a call that was found."""
        if not call.followers:
            self._stop_following(call)

    async def flush(self) -> None:
        """Wait until Redis has every lead given up so far, or does not answer."""
        if self._giving_up:
            await asyncio.wait(self._giving_up)

    def lose_followed(self) -> None:
        """Stop waiting for calls that other processes lead."""
        for followed in list(self._followed.values()):
            self._drop_followed(followed)
            followed.call.lose()

    def _find_local(self, place: CachePlace) -> SharedCall | None:
        led, followed = self._led.get(place.key), self._followed.get(place.key)
        found = led or followed
        return found.call if found else None

    def _follow(self, led: LedCall, leader: str) -> SharedCall:
        """Follow another process instead of leading the call."""
        del self._led[led.place.key]
        led.call.on_events = None
        led.call.on_unfollowed = self._stop_following
        followed = FollowedCall(led.call, led.place, leader)
        self._followed[led.place.key] = followed
        self._ask(followed)
        return led.call

    def _stop_following(self, call: SharedCall) -> None:
        """Tell the leader that this process does not follow the call any more."""
        followed = self._followed.get(call.key)
        if followed is None or followed.call is not call:
            return
        self._drop_followed(followed)
        # A request that has just found it starts again.
        call.lose()
        leave = {"t": "leave", "k": call.key, "from": self._bus.me}
        self._bus.send(followed.leader, leave)

    def _ask(self, followed: FollowedCall) -> None:
        ask = {"t": "follow", "k": followed.place.key, "from": self._bus.me}
        self._bus.send(followed.leader, ask)
        followed.asked += 1
        asyncio.get_running_loop().call_later(REPLY_S, self._check_reply, followed)

    def _check_reply(self, followed: FollowedCall) -> None:
        """Ask a leader again that has not answered, or take its lead away."""
        if followed.expected or not self._is_followed(followed):
            return
        if followed.asked < MOST_ASKED:
            # The request may have been lost.
            self._ask(followed)
            return
        self._drop_followed(followed)
        self._start_task(self._take_lead_away(followed))

    async def _take_lead_away(self, followed: FollowedCall) -> None:
        await self._give_up_lead(followed.place.key, followed.leader)
        followed.call.lose()

    def _forget(self, call: SharedCall) -> None:
        led = self._led.get(call.key)
        if led is not None and led.call is call:
            self._led.pop(led.place.key, None)
            self._give_up(call.key)

    def _give_up(self, key: str) -> None:
        self._start_task(self._give_up_lead(key, self._bus.me))

    def _start_task(self, giving_up: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(giving_up)
        self._giving_up.add(task)
        task.add_done_callback(self._giving_up.discard)

    async def _give_up_lead(self, key: str, leader: str) -> None:
        if leader == self._bus.me and key in self._led:
            # This process leads the same call again, by the same name in Redis.
            return
        try:
            await self._store.run(GIVE_UP, self._lead_name(key), leader, lazy=True)
        except (StoreDown, RedisError):
            log.debug("coalesce.lead_kept")

    def _lead_name(self, key: str) -> str:
        return f"{self._store.prefix}:lead:{{{key}}}"

    # Messages that a leader sends.

    def _send_events(self, call: SharedCall, events: list[bytes]) -> None:
        led = self._led.get(call.key)
        if led is None:
            return
        for process in led.processes:
            self._send_news(led, process, events)

    def _send_news(self, led: LedCall, process: str, events: list[bytes]) -> None:
        message = led.next_message(process, events)
        self._bus.send(process, message, last="s" in message)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(settings.COALESCE_LEASE_S / BEATS)
            for led in list(self._led.values()):
                for process in led.processes:
                    self._send_news(led, process, [])
            await self._renew()
            await self._drop_silent()

    async def _renew(self) -> None:
        for key in list(self._led):
            try:
                await self._store.command("PEXPIRE", self._lead_name(key), lease_ms())
            except (StoreDown, RedisError):
                return

    async def _drop_silent(self) -> None:
        """Drop calls whose leader has been silent for too long: it is dead, or mute."""
        oldest = time.monotonic() - silence_s()
        for followed in list(self._followed.values()):
            if followed.heard_at < oldest and self._is_followed(followed):
                self._drop_followed(followed)
                await self._take_lead_away(followed)

    def _is_followed(self, followed: FollowedCall) -> bool:
        return self._followed.get(followed.place.key) is followed

    def _leaders(self) -> set[str]:
        return {followed.leader for followed in self._followed.values()}

    async def _drop_dead(self, leader: str) -> None:
        """Drop calls whose leading process has died: followers start again."""
        for followed in list(self._followed.values()):
            if followed.leader == leader and self._is_followed(followed):
                self._drop_followed(followed)
                await self._take_lead_away(followed)

    # Messages that this process receives.

    def _receive(self, message: dict[str, Any]) -> None:
        key = str(message.get("k"))
        if message.get("t") == "follow":
            self._add_process(key, str(message.get("from")))
        elif message.get("t") == "leave":
            self._remove_process(key, str(message.get("from")))
        elif message.get("t") == "news" and key in self._followed:
            self._receive_news(self._followed[key], message)

    def _add_process(self, key: str, process: str) -> None:
        led = self._led.get(key)
        if led is None:
            # It ended meanwhile: the answer is stored, or there is none. If Redis still
            # named this process, all would be sent here again and again.
            self._give_up(key)
            self._bus.send(process, {"t": "news", "k": key, "n": 0, "s": "lost"})
            return
        if process not in led.processes:
            led.call.join()
        led.processes[process] = 0
        self._send_news(led, process, led.call.events)

    def _remove_process(self, key: str, process: str) -> None:
        led = self._led.get(key)
        if led is not None and led.processes.pop(process, None) is not None:
            led.call.leave()

    def _receive_news(self, followed: FollowedCall, message: dict[str, Any]) -> None:
        call = followed.call
        followed.heard_at = time.monotonic()
        if message.get("n") != followed.expected:
            self._drop_followed(followed)
            call.lose()
            return
        followed.expected += 1
        events = [event.encode() for event in message.get("e", ())]
        if events:
            call.add(events)
        state = message.get("s")
        if state is None:
            return
        self._drop_followed(followed)
        entry = followed.entry_in(message)
        if entry is not None:
            call.complete(entry)
        elif state == SharedCallState.FAILED.value:
            error, sent = message.get("error"), message.get("headers")
            call.fail(SharedFailure(error or {}, sent))
        elif state == SharedCallState.UNSHARED.value:
            call.unshare()
        else:
            call.lose()

    def _drop_followed(self, followed: FollowedCall) -> None:
        self._followed.pop(followed.place.key, None)
