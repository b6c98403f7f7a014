"""Messages between processes about shared calls, sent through Redis.

Each process listens on its own channel. A lost message does no harm: the follower sees
the gap in the numbers and starts again.
"""

import asyncio
import hmac
from collections.abc import Callable, Collection
from typing import Any

import orjson
import redis.asyncio as redis
import structlog
from redis.exceptions import RedisError

from llm.cache.secret import secret
from valuecanvas.core.cancel import Background
from valuecanvas.core.storage.store import Store, StoreDown

log = structlog.get_logger("llm.coalesce")
RETRY_S = 1.0
STOP_S = 1.0
# Tries for a call's last message: no later one would show that it is missing.
LAST_MESSAGE_TRIES = 10
# Most that waits for Redis; further messages are not sent, and followers start again.
MOST_WAITING_BYTES = 67_108_864
_MAC_SIZE = 32
_LOST = {"t": "news", "s": "lost"}
Handler = Callable[[dict[str, Any]], None]


class Bus(Background):
    """This process's channel. `me` is its name, unique among all processes."""

    def __init__(self, url: str, store: Store, me: str, handler: Handler) -> None:
        self.me = me
        self._url = url
        self._store = store
        self._handler = handler
        self._sending: set[asyncio.Task[None]] = set()
        self._waiting_bytes = 0

    async def stop(self) -> None:
        await super().stop()
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=STOP_S)
            for task in late:
                task.cancel()

    def send(self, to: str, message: dict[str, Any], *, last: bool = False) -> None:
        """Send in the background, in the order of the calls.

        A call's `last` message is sent again until Redis takes it.
        """
        data = orjson.dumps(message)
        if self._waiting_bytes + len(data) > MOST_WAITING_BYTES:
            if not last:
                return
            data = orjson.dumps({**_LOST, "k": message["k"], "n": message["n"]})
        tries = LAST_MESSAGE_TRIES if last else 1
        task = asyncio.create_task(self._publish(to, _mac(data) + data, tries))
        self._waiting_bytes += len(data)
        self._sending.add(task)
        task.add_done_callback(lambda done: self._sent(done, len(data)))

    def _sent(self, task: "asyncio.Task[None]", size: int) -> None:
        self._sending.discard(task)
        self._waiting_bytes -= size

    async def find_missing(self, names: Collection[str]) -> set[str]:
        """The processes that do not listen. Raises StoreDown or RedisError.

        Empty while this process does not listen itself: then nothing is known.
        """
        channels = [self._channel(name) for name in (self.me, *names)]
        found = await self._store.command("PUBSUB", "NUMSUB", *channels)
        mine, *theirs = found[1::2]
        if not mine:
            return set()
        return {name for name, count in zip(names, theirs, strict=True) if not count}

    async def _publish(self, to: str, data: bytes, tries: int) -> None:
        for left in reversed(range(tries)):
            try:
                await self._store.command("PUBLISH", self._channel(to), data)
                return
            except (StoreDown, RedisError):
                log.debug("coalesce.unsent", to=to, left=left)
            if left:
                await asyncio.sleep(RETRY_S)

    def _channel(self, name: str) -> str:
        return f"{self._store.prefix}:flights:{name}"

    async def _run(self) -> None:
        while True:
            try:
                await self._listen_once()
            except (RedisError, OSError, TimeoutError) as error:
                log.info("coalesce.deaf", error=type(error).__name__)
                await asyncio.sleep(RETRY_S)

    async def _listen_once(self) -> None:
        client = redis.from_url(
            self._url, socket_connect_timeout=1, socket_keepalive=True
        )
        try:
            async with client.pubsub(ignore_subscribe_messages=True) as pubsub:
                await pubsub.subscribe(self._channel(self.me))
                async for message in pubsub.listen():
                    self._receive(message["data"])
        finally:
            await client.aclose()

    def _receive(self, data: bytes) -> None:
        mac, body = data[:_MAC_SIZE], data[_MAC_SIZE:]
        # An attacker who can publish to Redis must not forge answers.
        if hmac.compare_digest(mac, _mac(body)):
            self._handler(orjson.loads(body))


def _mac(data: bytes) -> bytes:
    return hmac.digest(secret(), b"bus" + data, "sha256")
