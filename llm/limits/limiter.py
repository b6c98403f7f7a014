"""Minute limits, shared through Redis; a process counts alone if Redis is down."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog
from redis.exceptions import RedisError

from llm.limits.types import Hold, LimitKind, LimitRefused, MinuteUse, Subject
from llm.limits.window import BUCKET_MS, BUCKETS, BUSY_MS, Reply, Windows, now_ms
from llm.metrics import LIMITS_ALONE
from valuecanvas.core.storage.store import Script, Store, StoreDown

log = structlog.get_logger("llm.limits")

SCRIPT = Script.load(
    Path(__file__).with_name("script.lua"),
    bucket_ms=BUCKET_MS,
    buckets=BUCKETS,
    busy_ms=BUSY_MS,
)
KINDS = LimitKind.REQUESTS, LimitKind.TOKENS, LimitKind.CONCURRENT
# Most leases to free in Redis after their requests have ended; others just expire.
OWED_MAX = 10_000
CLOSE_WITHIN_S = 1.0


class Limiter:
    """Call `take` before a request, and `give_back` when it has ended. One per process.

    `owner` names the process: if it dies, what it holds is freed by that name.
    `on_subject` is called with each subject before a slot of it is taken.
    """

    def __init__(
        self,
        store: Store,
        owner: str = "",
        on_subject: Callable[[str], None] = lambda subject: None,
    ) -> None:
        self._store = store
        self._owner = owner
        self._on_subject = on_subject
        self._windows = Windows()
        self._alone = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._owed: deque[tuple[str, str]] = deque(maxlen=OWED_MAX)

    async def take(
        self,
        subjects: Sequence[Subject],
        *,
        request_id: str,
        tokens: int,
        lease_s: float,
    ) -> MinuteUse | LimitRefused:
        """Count a request of at most `tokens` for all `subjects`, or for none.

        `request_id` must be new. If it is never given back, it counts as under way for
        `lease_s` seconds.
        """
        request_id = f"{self._owner}:{request_id}"
        if not subjects:
            return MinuteUse(request_id, tokens)
        for subject in subjects:
            most = subject.limits.tokens
            if most is not None and tokens > most:
                return LimitRefused(subject, LimitKind.TOKENS, most, most, None)
        self._note(subjects)
        lease_ms = int(lease_s * 1000)
        try:
            work = [self._take(one, request_id, tokens, lease_ms) for one in subjects]
            # For a single one a task would double the cost.
            answers = [await work[0]] if len(work) == 1 else await asyncio.gather(*work)
        except asyncio.CancelledError:
            # Requests that were sent are counted, and must be freed.
            self._owe_all(subjects, request_id)
            raise
        holds = tuple(one for one in answers if isinstance(one, Hold))
        refusals = [one for one in answers if isinstance(one, LimitRefused)]
        taken = MinuteUse(request_id, tokens, holds)
        if not refusals:
            return taken
        if holds:
            self.give_back_soon(taken, used_tokens=None)
        longest = max(refusals, key=lambda one: one.retry_after_s or 0)
        others = tuple(one for one in answers if one is not longest)
        return replace(longest, others=others)

    async def give_back(self, taken: MinuteUse, *, used_tokens: int | None) -> None:
        """End a request that used so many tokens; None: do not count it at all.

        Never raises, and does nothing the second time. It is sent before the first
        await, so that it arrives before the caller's next request.
        """
        if taken.given_back or not taken.holds:
            return
        taken.given_back = True
        requests = -1 if used_tokens is None else 0
        tokens = (used_tokens or 0) - taken.tokens
        first, *others = taken.holds
        # Tasks of their own: they go on if this one is cancelled.
        tasks = [
            self._later(self._give(hold, taken.request_id, requests, tokens))
            for hold in others
        ]
        await self._give(first, taken.request_id, requests, tokens)
        if tasks:
            await asyncio.wait(tasks)

    def give_back_soon(self, taken: MinuteUse, *, used_tokens: int | None) -> None:
        """Like `give_back`, for callers that can't wait."""
        self._later(self.give_back(taken, used_tokens=used_tokens))

    async def flush(self) -> None:
        """Wait until all that was given back so far counts no more."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Wait until all is given back."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_WITHIN_S)

    def _note(self, subjects: Sequence[Subject]) -> None:
        for subject in subjects:
            if subject.limits.concurrent is not None:
                self._on_subject(subject.name)

    async def _take(
        self, subject: Subject, request_id: str, tokens: int, lease_ms: int
    ) -> Hold | LimitRefused:
        limits = subject.limits
        try:
            reply = await self._store.run(
                SCRIPT,
                self._key(subject.name),
                "take",
                request_id,
                tokens,
                lease_ms,
                -1 if limits.requests is None else limits.requests,
                -1 if limits.tokens is None else limits.tokens,
                -1 if limits.concurrent is None else limits.concurrent,
            )
        except (StoreDown, RedisError) as error:
            self._note_alone(error)
            window = self._windows.get(subject.name)
            reply = window.take(now_ms(), limits, request_id, tokens, lease_ms)
            return _read(subject, reply, local=True)
        if self._alone or self._owed:
            self._share_again()
        return _read(subject, reply, local=False)

    async def _give(
        self, hold: Hold, request_id: str, requests: int, tokens: int
    ) -> None:
        name, leased = hold.subject.name, hold.concurrent >= 0
        if hold.local:
            window = self._windows.get(name)
            window.give(now_ms(), request_id, hold.slot, requests, tokens)
            # Redis may have counted it too late for us.
            self._owe(name, request_id, leased=leased)
            return
        if hold.tokens < 0:
            tokens = 0  # counted without a limit
        if not (leased or requests or tokens):
            return
        try:
            await self._store.run(
                SCRIPT,
                self._key(name),
                "give",
                request_id,
                hold.slot,
                requests,
                tokens,
                lazy=True,
            )
        except (StoreDown, RedisError):
            self._owe(name, request_id, leased=leased)

    def _owe_all(self, subjects: Sequence[Subject], request_id: str) -> None:
        for subject in subjects:
            self._windows.get(subject.name).held.pop(request_id, None)
            leased = subject.limits.concurrent is not None
            self._owe(subject.name, request_id, leased=leased)
        self._later(self._pay())

    def _owe(self, name: str, request_id: str, *, leased: bool) -> None:
        # Only the lease: its window may be corrected already, and ends within a minute.
        if leased:
            self._owed.append((name, request_id))

    async def _pay(self) -> None:
        while self._owed:
            name, request_id = self._owed.popleft()
            try:
                await self._store.run(
                    SCRIPT, self._key(name), "give", request_id, 0, 0, 0
                )
            except (StoreDown, RedisError):
                self._owed.append((name, request_id))
                return

    def _note_alone(self, error: Exception) -> None:
        LIMITS_ALONE.inc()
        if not self._alone:
            self._alone = True
            log.warning("limits.alone", error=type(error).__name__)

    def _share_again(self) -> None:
        if self._alone:
            self._alone = False
            log.info("limits.shared_again")
        self._later(self._pay())

    def _key(self, name: str) -> str:
        return redis_key(self._store.prefix, name)

    def _later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def redis_key(prefix: str, name: str) -> str:
    # In braces: a cluster keeps all keys of a subject in one slot.
    return f"{prefix}:limits:{{{name}}}"


async def free(store: Store, name: str, owner: str) -> None:
    """Free what the dead process `owner` held of the subject `name`.

    Raises StoreDown, RedisError.
    """
    await store.run(SCRIPT, redis_key(store.prefix, name), "free", f"{owner}:")


def _read(
    subject: Subject, reply: Reply | list[int], *, local: bool
) -> Hold | LimitRefused:
    if not reply[0]:
        return Hold(subject, *reply[1:], local)  # type: ignore[call-arg]
    kind = KINDS[reply[0] - 1]
    limits = subject.limits
    limit = getattr(limits, kind) or 0
    return LimitRefused(subject, kind, limit, reply[1], reply[2] / 1000)
