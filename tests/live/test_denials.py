"""Callers out of quota who keep asking: from memory, and never past a raised quota."""

import psycopg
import pytest
import redis
from django.conf import settings

from llm.admission import quota_denials
from llm.runtime import Runtime
from tests.live.inside import CHAT, Exchange, chat_body
from tests.live.server import database_url
from tests.live.world import Answer, World
from valuecanvas.core.db.epoch import hint_key

pytestmark = pytest.mark.live

LOCK = "LOCK TABLE billing_counter IN ACCESS EXCLUSIVE MODE"


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine may be busy: a refusal is remembered for as long as a test takes."""
    monkeypatch.setattr(quota_denials, "KEPT_S", 600.0)


class Hammer:
    """A caller with one request a day who has used it, and goes on asking."""

    def __init__(self, world: World, gateway: Runtime) -> None:
        self.world, self.gateway = world, gateway
        self.model = world.serve("ok").model
        self.customer, self.key = world.new_customer(daily_requests=1)

    async def ask(self) -> Answer:
        body = chat_body(self.model)
        return await Exchange(self.gateway, CHAT, body, key=self.key).run()

    async def wear_out(self) -> None:
        """Until the refusal is remembered: the second one is."""
        answers = [await self.ask() for _ in range(3)]
        assert [one.status for one in answers] == [200, 429, 429]

    def raise_quota(self) -> None:
        tier = self.customer.tier
        tier.daily_requests += 1
        self.world.db(tier.save)


@pytest.fixture
def hammer(indoors: World, gateway: Runtime) -> Hammer:
    return Hammer(indoors, gateway)


async def test_out_of_quota__keeps_asking__is_refused_without_the_ledger(
    hammer: Hammer, indoors: World
) -> None:
    await hammer.wear_out()
    with psycopg.connect(indoors.db(database_url)) as holder:
        holder.execute(LOCK)
        refused = await hammer.ask()
    assert (refused.status, refused.error["code"]) == (429, "insufficient_quota")
    assert refused.headers["x-should-retry"] == "false"


async def test_out_of_quota__quota_is_raised__the_next_request_is_answered(
    hammer: Hammer,
) -> None:
    await hammer.wear_out()
    hammer.raise_quota()
    assert (await hammer.ask()).status == 200


@pytest.mark.parametrize("raised", ["before the flush", "after it"])
async def test_out_of_quota__redis_flushed_as_it_is_raised__the_next_request_is_answered(
    hammer: Hammer, gateway: Runtime, raised: str
) -> None:
    key = hint_key(gateway.store.prefix)
    with redis.Redis.from_url(settings.REDIS_URL) as server:
        server.delete(key)
        if raised == "after it":
            # Each time it is the first change since Redis was empty.
            hammer.world.db(hammer.customer.tier.save)
        await hammer.wear_out()
        if raised == "before the flush":
            hammer.raise_quota()
        server.delete(key)
        if raised == "after it":
            hammer.raise_quota()
        assert (await hammer.ask()).status == 200
