"""Admitted on a configuration that is gone by: tried again, and counted once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from pytest_django import Settings

from llm.runtime import Runtime
from tests.live.faucet import open_faucet
from tests.live.inside import CHAT, Exchange, chat_body
from tests.live.server import database_url
from tests.live.world import World

pytestmark = pytest.mark.live

LOCK = "LOCK TABLE billing_counter IN ACCESS EXCLUSIVE MODE"
WAITS = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'valuecanvas-ledger' AND wait_event_type = 'Lock'
AND datname = current_database()
"""


@pytest.fixture(autouse=True)
def patience(settings: Settings) -> None:
    settings.DB_LOCK_TIMEOUT_MS = settings.DB_STATEMENT_TIMEOUT_MS = 60_000
    settings.LLM_ADMIT_TIMEOUT_S = 60.0


@asynccontextmanager
async def changed_meanwhile(world: World, gateway: Runtime) -> AsyncIterator[None]:
    """What the block begins asks the ledger by a configuration that is gone by then.

    Another request has loaded the new one already.
    """
    await gateway.config.refresh()
    with (
        psycopg.connect(world.db(database_url)) as holder,
        psycopg.connect(world.db(database_url), autocommit=True) as watcher,
    ):
        holder.execute(LOCK)
        yield
        async with asyncio.timeout(60):
            while watcher.execute(WAITS).fetchone() == (0,):
                await asyncio.sleep(0.01)
        world.serve("ok")
        await gateway.config.refresh()


async def test_stale_request__of_a_caller_with_one_a_minute__is_counted_once(
    indoors: World, gateway: Runtime
) -> None:
    served = indoors.serve("ok")
    key = indoors.new_customer(daily_requests=10, requests_per_minute=1)[1]
    exchange = Exchange(gateway, CHAT, chat_body(served.model), key=key)
    async with changed_meanwhile(indoors, gateway):
        running = exchange.start()
    await running
    assert exchange.answer.status == 200, exchange.answer.body


async def test_stale_request__that_leads__leads_still_when_it_is_sent(
    indoors: World, gateway: Runtime
) -> None:
    async with open_faucet() as faucet:
        served = indoors.serve_at((faucet.url, "m"))
        exchange = Exchange(gateway, CHAT, chat_body(served.model), key=indoors.key)
        async with changed_meanwhile(indoors, gateway):
            running = exchange.start()
        pour = await faucet.call()
        # With it goes whatever still waits to be told to Redis.
        leads = await gateway.store.command("KEYS", f"{gateway.store.prefix}:lead:*")
        assert len(leads) == 1
        await pour.whole("Hello.")
        await running
    assert exchange.answer.status == 200
