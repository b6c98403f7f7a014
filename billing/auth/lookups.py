"""Batched database lookups off the event loop: one query for many waiting callers."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from django.db import Error

from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.errors import Unavailable

K = TypeVar("K")
V = TypeVar("V")

BATCH_MAX = 500
WAITING_MAX = 10_000
WAIT_S = 5.0


class Lookups(Generic[K, V]):
    """Looks keys up by `load`, which takes many keys at once and runs on `db`.

    One query runs at a time, and what queues up meanwhile goes into the next: a flood of
    unknown keys costs a few large queries, not one each. Belongs to one event loop.
    """

    def __init__(
        self,
        load: Callable[[list[K]], dict[K, V]],
        db: DbThread,
        most: int = BATCH_MAX,
    ) -> None:
        self._load = load
        self._most = most
        self._db = db
        self._pending: dict[K, asyncio.Future[V | None]] = {}
        self._waiting: list[tuple[K, asyncio.Future[V | None]]] = []
        self._runner: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """The value of `key`, or None. Raises Unavailable."""
        future = self._pending.get(key)
        if future is None:
            future = self._enqueue(key)
        try:
            async with asyncio.timeout(WAIT_S):
                return await asyncio.shield(future)
        except (TimeoutError, Unavailable) as error:
            # Of its own: one query's error goes to all who wait, and each adds to it.
            raise unavailable() from error

    def forget(self) -> None:
        """Let no later `get` share a query that has begun before now."""
        self._pending.clear()

    def _enqueue(self, key: K) -> "asyncio.Future[V | None]":
        if len(self._waiting) >= WAITING_MAX:
            raise unavailable()
        future: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._pending[key] = future
        self._waiting.append((key, future))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return future

    async def _run(self) -> None:
        while self._waiting:
            batch = self._waiting[: self._most]
            del self._waiting[: self._most]
            keys = list(dict.fromkeys(key for key, _ in batch))
            query = asyncio.ensure_future(self._db.run(_load, self._load, keys))
            await asyncio.wait([query])
            self._resolve(batch, query)

    def _resolve(
        self,
        batch: list[tuple[K, "asyncio.Future[V | None]"]],
        query: "asyncio.Future[dict[K, V]]",
    ) -> None:
        error = query.exception()
        for key, future in batch:
            if self._pending.get(key) is future:
                del self._pending[key]
            if error is None:
                future.set_result(query.result().get(key))
            else:
                future.set_exception(error)
                future.exception()  # marks it as retrieved, even if every waiter has left


def _load(load: Callable[[list[K]], dict[K, V]], keys: list[K]) -> dict[K, V]:
    try:
        return load(keys)
    except Error as error:
        raise unavailable() from error


def unavailable() -> Unavailable:
    """The error while the database cannot tell who calls."""
    return Unavailable(
        "Callers cannot be looked up now. Please try again.",
        headers={"Retry-After": "1"},
    )
