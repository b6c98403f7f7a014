"""The Redis client of the hot path: batched commands, timeouts and a circuit breaker.

Redis holds only data that may be lost. While it is down or slow, callers get StoreDown
at once and continue with process-local state.
"""

import asyncio
import hashlib
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis.asyncio as redis
import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError

from valuecanvas.core.metrics import STORE_SLOW, STORE_UP
from valuecanvas.core.storage.loop_timeout import LoopTimeout

log = structlog.get_logger("core.store")

# After this many failed or slow round trips in a row Redis is bypassed until it answers.
SLOW_ROUNDS = settings.REDIS_SLOW_ROUNDS
PROBE_EVERY_S = 1.0
# Commands that nobody waits for are delayed this long to share a round trip, in seconds.
LINGER_S = 0.005


class StoreDown(Exception):
    """Redis did not answer in time, or is bypassed for now."""


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and its SHA-1, by which Redis knows it."""

    source: str
    sha: str

    @classmethod
    def make(cls, source: str) -> "Script":
        # Redis itself names scripts by SHA-1; nothing is protected by it.
        digest = hashlib.sha1(source.encode(), usedforsecurity=False)
        return cls(source, digest.hexdigest())

    @classmethod
    def load(cls, path: Path, **constants: float) -> "Script":
        """The script in a file; it sees `constants` as locals, in capitals."""
        lines = [f"local {name.upper()} = {constants[name]}\n" for name in constants]
        return cls.make("".join(lines) + path.read_text())


@dataclass(slots=True)
class _Call:
    command: tuple[Any, ...]
    script: Script | None
    future: asyncio.Future[Any]


def open_store(kind: "Callable[..., Store] | None" = None) -> "Store":
    """The store that the settings configure, for one event loop; of another `kind`."""
    return (kind or Store)(
        settings.REDIS_URL,
        timeout_s=settings.REDIS_TIMEOUT_MS / 1000,
        prefix=settings.REDIS_PREFIX,
    )


def _ignore_result(answer: "asyncio.Future[Any]") -> None:
    """Retrieve the exception of a reply that nobody waits for."""
    if not answer.cancelled():
        answer.exception()


class Store:
    """Sends all commands queued during one round trip as the next pipeline."""

    def __init__(self, url: str, *, timeout_s: float, prefix: str) -> None:
        self.prefix = prefix
        self._timeout_s = timeout_s
        self._client = redis.from_url(
            url,
            # None: a timeout would need a timer per reply and a task per round trip. The
            # whole round trip has one timeout, in _drain.
            socket_timeout=None,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            max_connections=4,
        )
        self._queue: deque[_Call] = deque()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._failures = 0
        self._down_until = 0.0
        STORE_UP.set(1)

    @property
    def up(self) -> bool:
        return self._failures < SLOW_ROUNDS

    async def command(self, *command: Any) -> Any:
        """The reply to one command. Raises StoreDown, or RedisError for its own."""
        return await self._ask(command, None)

    async def run(
        self, script: Script, key: str, *args: Any, lazy: bool = False
    ) -> Any:
        """The reply of a script on one key (so that it works in a cluster).

        `lazy` ones wait a moment to share a round trip with others.
        """
        command = ("EVALSHA", script.sha, 1, key, *args)
        return await self._ask(command, script, lazy=lazy)

    async def run_on(self, script: Script, keys: tuple[str, ...], *args: Any) -> Any:
        """The reply of a script on several keys that share one hash tag."""
        command = ("EVALSHA", script.sha, len(keys), *keys, *args)
        return await self._ask(command, script)

    async def refuse_cluster(self) -> None:
        """Raises ImproperlyConfigured at a node that has only a part of all keys."""
        try:
            answer = await self.command("CLUSTER", "INFO")
        except (StoreDown, RedisError):
            # It is away, or no cluster.
            return
        size = re.search(rb"cluster_size:(\d+)", answer)
        if size and int(size[1]) > 1:
            raise ImproperlyConfigured(
                f"REDIS_URL names one of {int(size[1])} parts of a Redis Cluster, of which "
                "this client would see a part only. Name a single primary, or a proxy."
            )

    def post(self, *command: Any) -> None:
        """Send a command whose reply nobody waits for; lost if Redis is down."""
        if self.up:
            self._enqueue(command, None, lazy=True).add_done_callback(_ignore_result)

    async def close(self) -> None:
        """Send queued commands, if Redis accepts them in time, and disconnect."""
        if self._queue:
            self._send()
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=self._timeout_s)
            self._task.cancel()
        await self._client.aclose()

    async def _ask(
        self, command: tuple[Any, ...], script: Script | None, *, lazy: bool = False
    ) -> Any:
        if not self.up:
            self._probe()
            raise StoreDown
        return await self._enqueue(command, script, lazy=lazy)

    def _enqueue(
        self, command: tuple[Any, ...], script: Script | None, *, lazy: bool = False
    ) -> "asyncio.Future[Any]":
        loop = asyncio.get_running_loop()
        call = _Call(command, script, loop.create_future())
        self._queue.append(call)
        if not lazy:
            self._send()
        elif self._timer is None:
            self._timer = loop.call_later(LINGER_S, self._send)
        return call.future

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())

    def _probe(self) -> None:
        """Ask Redis whether it is back, at most once a second; no request waits."""
        if time.monotonic() >= self._down_until:
            self._down_until = time.monotonic() + PROBE_EVERY_S
            self._enqueue(("PING",), None).add_done_callback(_ignore_result)

    async def _drain(self) -> None:
        while self._queue:
            calls = list(self._queue)
            self._queue.clear()
            try:
                async with LoopTimeout(self._timeout_s):
                    replies = await self._round(calls)
            except (TimeoutError, RedisError, OSError) as error:
                self._record_failure(calls, error)
            else:
                self._deliver(calls, replies)

    async def _round(self, calls: Sequence[_Call]) -> list[Any]:
        replies = await self._pipeline(calls)
        missing = [
            index
            for index, reply in enumerate(replies)
            if isinstance(reply, NoScriptError)
        ]
        if missing:
            scripts = {calls[i].script for i in missing}
            for script in scripts:
                if script is not None:
                    await self._client.script_load(script.source)
            again = await self._pipeline([calls[i] for i in missing])
            for index, reply in zip(missing, again, strict=True):
                replies[index] = reply
        return replies

    async def _pipeline(self, calls: Sequence[_Call]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            for call in calls:
                pipe.execute_command(*call.command)
            replies: list[Any] = await pipe.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, ReadOnlyError):
                # It was the primary until a failover: new connections find the new one.
                await self._client.connection_pool.disconnect()
                raise reply
        return replies

    def _deliver(self, calls: Sequence[_Call], replies: Sequence[Any]) -> None:
        if not self.up:
            log.info("redis.back")
        self._failures = 0
        STORE_UP.set(1)
        for call, reply in zip(calls, replies, strict=True):
            if call.future.done():
                continue
            if isinstance(reply, Exception):
                call.future.set_exception(reply)
            else:
                call.future.set_result(reply)

    def _record_failure(self, calls: Sequence[_Call], error: Exception) -> None:
        self._failures += 1
        STORE_SLOW.inc()
        self._down_until = time.monotonic() + PROBE_EVERY_S
        if self._failures == SLOW_ROUNDS:
            STORE_UP.set(0)
            log.warning("redis.passed_by", error=type(error).__name__)
        for call in calls:
            if not call.future.done():
                call.future.set_exception(StoreDown())
