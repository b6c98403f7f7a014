"""Two processes' worth of gateway in one loop, one provider, and one question."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_django import Settings

from llm import runtime
from llm.runtime import Runtime
from tests.invariants import assert_books_balance
from tests.live.faucet import Faucet, open_faucet
from tests.live.inside import CHAT, Exchange, chat_body
from tests.live.world import Answer, World, unique


@dataclass
class Party:
    """Two gateways, one provider, and one question that all ask."""

    world: World
    faucet: Faucet
    left: Runtime
    right: Runtime
    model: str = ""
    text: str = field(default_factory=lambda: unique("Say hello to"))

    def exchange(
        self, gateway: Runtime, key: str = "", idempotency: str = "", **fields: Any
    ) -> Exchange:
        body = chat_body(self.model, self.text, **fields)
        made = Exchange(gateway, CHAT, body, key=key or self.world.key)
        if idempotency:
            made.scope["headers"].append((b"idempotency-key", idempotency.encode()))
        return made

    def ask(self, gateway: Runtime, **fields: Any) -> "asyncio.Task[Answer]":
        return asyncio.create_task(self.exchange(gateway, **fields).run())

    async def followed(self, gateway: Runtime, count: int) -> None:
        """Return once `count` requests of this gateway wait for another's answer."""
        while sum(one.followers for one in shared_calls(gateway)) < count:
            await asyncio.sleep(0.002)

    async def told(self, count: int = 1) -> None:
        """Return once the left one has `count` followers; the right process is one."""
        await self.followed(self.left, count)
        await self.followed(self.right, 1)


def shared_calls(gateway: Runtime) -> list[Any]:
    own: Any = gateway.shared_calls
    return [one.call for one in (*own._led.values(), *own._followed.values())]


async def leading(gateway: Runtime) -> None:
    """Return once Redis says that this gateway leads the one call under way."""
    own, leader = gateway.shared_calls, b""
    while leader != own._bus.me.encode():
        for key in list(own._led):
            leader = await gateway.store.command("GET", own._lead_name(key)) or b""
        await asyncio.sleep(0.002)


@asynccontextmanager
async def gathering(
    world: World, settings: Settings, folder: Path
) -> AsyncIterator[Party]:
    """Patient with all that it uses: the machine may be busy.

    In the end nothing is reserved, and the books balance.
    """
    settings.REDIS_PREFIX = unique("inside")
    settings.REDIS_TIMEOUT_MS = 5000
    settings.DB_LOCK_TIMEOUT_MS = settings.DB_STATEMENT_TIMEOUT_MS = 20_000
    settings.LLM_ADMIT_TIMEOUT_S = 20
    settings.JOURNAL_DIR = folder / "journal"
    left, right = await runtime.start(), await runtime.start()
    async with open_faucet() as faucet:
        made = Party(world, faucet, left, right)
        made.model = world.serve_at((faucet.url, "m")).model
        yield made
        await left.stop()
        await right.stop()
    assert world.reserved() == 0
    world.db(assert_books_balance)


def rows(world: World, *answers: Answer) -> list[Any]:
    return [world.usage(answer.headers["x-request-id"]) for answer in answers]
