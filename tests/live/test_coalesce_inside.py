"""Identical requests in flight, over two processes' worth of gateway in one loop."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from billing.ledger.ledger import connect
from billing.models import IdempotencyKey
from llm import admission, runtime
from llm.runtime import Runtime
from tests.invariants import assert_books_balance
from tests.live.faucet import ROLE, Faucet, open_faucet
from tests.live.inside import CHAT, DONE, Exchange, chat_body, chunk
from tests.live.shared import how, offered, said, usages
from tests.live.wire import content, data_events
from tests.live.world import Answer, World, unique

pytestmark = pytest.mark.live
MANY = 60
LOCK = "LOCK TABLE billing_counter IN ACCESS EXCLUSIVE MODE"


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
        while sum(one.followers for one in flights(gateway)) < count:
            await asyncio.sleep(0.002)

    async def told(self, count: int = 1) -> None:
        """Return once the left one has `count` followers; the right process is one."""
        await self.followed(self.left, count)
        await self.followed(self.right, 1)


def flights(gateway: Runtime) -> list[Any]:
    own = gateway.flights
    return [one.flight for one in (*own._led.values(), *own._followed.values())]


async def leading(gateway: Runtime) -> None:
    """Return once Redis says that this gateway leads the one call under way."""
    own, leader = gateway.flights, b""
    while leader != own._bus.me.encode():
        for key in list(own._led):
            leader = await gateway.store.command("GET", own._lead_name(key)) or b""
        await asyncio.sleep(0.002)


@pytest.fixture
async def party(
    indoors: World,
    transactional_db: None,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Party]:
    """Patient with all that it uses: the machine may be busy."""
    settings.REDIS_PREFIX = unique("inside")
    settings.REDIS_TIMEOUT_MS = 5000
    settings.DB_LOCK_TIMEOUT_MS = settings.DB_STATEMENT_TIMEOUT_MS = 20_000
    monkeypatch.setattr(admission, "ADMIT_WITHIN_S", 20)
    settings.JOURNAL_DIR = tmp_path / "journal"
    left, right = await runtime.start(), await runtime.start()
    async with open_faucet() as faucet:
        made = Party(indoors, faucet, left, right)
        made.model = indoors.serve_at((faucet.url, "m")).model
        yield made
        await left.stop()
        await right.stop()
    assert indoors.reserved() == 0
    indoors.db(assert_books_balance)


def rows(world: World, *answers: Answer) -> list[Any]:
    return [world.usage(answer.headers["x-request-id"]) for answer in answers]


async def test_twins__over_two_processes__one_call_and_one_bill(
    indoors: World, party: Party
) -> None:
    with offered(indoors, "slow@300ms+drip@5ms:40") as offer:
        party.model, party.text = offer.model, offer.text
        asked = [
            party.ask((party.left, party.right)[n % 2], stream=n % 4 < 2)
            for n in range(MANY)
        ]
        answers = await asyncio.gather(*asked)
        assert offer.calls == 1
    assert len({said(answer) for answer in answers}) == 1
    found = [how(answer) for answer in answers]
    assert (found.count("miss"), found.count("coalesced")) == (1, MANY - 1)
    bills = rows(indoors, *answers)
    [paid] = [row for row in bills if not row.cached]
    assert paid.cost_usd > 0
    for row in bills:
        if row.cached:
            assert (row.cost_usd, row.saved_usd) == (0, paid.cost_usd)
            assert (row.marks, row.source) == (["coalesced"], "cache")
            assert row.completion_tokens == paid.completion_tokens
    assert indoors.counter()[:2] == (MANY, int(paid.cost_usd * 1_000_000))


async def test_follower__streams_while_the_leader_does__and_gets_its_own_usage(
    party: Party,
) -> None:
    leader = party.exchange(party.left, stream=True)
    led = leader.start()
    pour = await party.faucet.call()
    options = {"include_usage": True}
    near = party.exchange(party.left, stream=True, stream_options=options)
    far = party.exchange(party.right, stream=True)
    waiting = [near.start(), far.start()]
    await party.told(2)
    await pour.send(ROLE)
    await pour.say("Hel")
    for one in (leader, near, far):
        await one.until(b"Hel")
        assert b"[DONE]" not in one.body
    await pour.say("lo.")
    await pour.finish()
    await asyncio.gather(led, *waiting)
    assert [said(one.answer) for one in (leader, near, far)] == ["Hello."] * 3
    assert [len(usages(one.answer)) for one in (leader, near, far)] == [0, 1, 0]
    assert far.answer.headers["x-valuecanvas-cache"] == "coalesced"
    for one in (near, far):
        assert b"x-valuecanvas-cost-usd=0.000000" in one.body


async def test_follower__of_a_whole_call__gets_it_as_a_stream_or_whole(
    party: Party,
) -> None:
    leader = party.ask(party.left)
    pour = await party.faucet.call()
    asked = [
        party.ask(gateway, stream=stream)
        for gateway in (party.left, party.right)
        for stream in (False, True)
    ]
    await party.told(3)
    await party.followed(party.right, 2)
    await pour.whole("Hello.")
    answers = await asyncio.gather(leader, *asked)
    assert [said(answer) for answer in answers] == ["Hello."] * 5
    assert [how(answer) for answer in answers] == ["miss"] + ["coalesced"] * 4
    assert answers[1].headers["x-valuecanvas-cost-usd"] == "0.000000"
    assert int(answers[1].headers["age"]) < 60


async def test_leader__answer_was_cut_by_its_limit__is_shared_but_not_stored(
    party: Party,
) -> None:
    leader = party.ask(party.left)
    pour = await party.faucet.call()
    follower = party.ask(party.right)
    await party.told()
    await pour.whole("Hel", finish="length")
    assert [said(one) for one in await asyncio.gather(leader, follower)] == ["Hel"] * 2
    again = party.ask(party.left)
    await (await party.faucet.call(2)).whole("Hello.")
    assert how(await again) == "miss"


@pytest.mark.parametrize("where", ["left", "right"])
async def test_leader__its_client_leaves_while_others_follow__goes_on_and_pays(
    indoors: World, party: Party, where: str
) -> None:
    leader = party.exchange(party.left, stream=True)
    led = leader.start()
    pour = await party.faucet.call()
    await pour.send(ROLE)
    await pour.say("Hel")
    await leader.until(b"Hel")
    asked = [
        party.ask(getattr(party, where), stream=stream) for stream in (True, False)
    ]
    await party.followed(getattr(party, where), 2)
    await party.followed(party.left, 1)
    leader.leave()
    await asyncio.sleep(0.05)
    await pour.say("lo.")
    await pour.finish()
    answers = await asyncio.gather(*asked)
    await led
    assert [said(answer) for answer in answers] == ["Hello."] * 2
    assert len(party.faucet.calls) == 1
    [paid] = rows(indoors, leader.answer)
    assert (paid.status, paid.cached) == ("ok", False)
    assert paid.cost_usd > 0
    assert [row.cost_usd for row in rows(indoors, *answers)] == [0, 0]


async def test_leader__its_client_leaves_and_nobody_follows__ends_the_call(
    indoors: World, party: Party
) -> None:
    leader = party.exchange(party.left, stream=True)
    led = leader.start()
    pour = await party.faucet.call()
    await pour.send(ROLE)
    await pour.say("Hel")
    await leader.until(b"Hel")
    leader.leave()
    await led
    await pour.left()
    assert rows(indoors, leader.answer)[0].status == "client_gone"
    assert party.left.flights._led == {}


async def test_leader__its_client_leaves_before_the_first_token__others_start_anew(
    party: Party,
) -> None:
    leader = party.exchange(party.left, stream=True)
    led = leader.start()
    await party.faucet.call()
    asked = [
        party.ask(party.left, stream=True),
        party.ask(party.right, stream=True),
    ]
    await party.told(2)
    leader.leave()
    await led
    await (await party.faucet.call(2)).answer("Hello.")
    answers = await asyncio.gather(*asked)
    assert [said(answer) for answer in answers] == ["Hello."] * 2
    # Whoever asks last may find it stored already.
    assert sorted(map(how, answers))[-1] == "miss"
    assert len(party.faucet.calls) == 2


@pytest.mark.parametrize("status", [500, 400])
async def test_leader__no_provider_answers__all_get_its_error_for_one_call(
    indoors: World, party: Party, status: int
) -> None:
    leader = party.ask(party.left)
    pour = await party.faucet.call()
    asked = [
        party.ask(gateway, stream=stream)
        for gateway in (party.left, party.right)
        for stream in (False, True)
    ]
    await party.told(3)
    await party.followed(party.right, 2)
    await pour.refuse(status)
    first, *others = await asyncio.gather(leader, *asked)
    assert first.status == (502 if status == 500 else 400)
    told = {"message", "type", "param", "code"}
    for answer in others:
        assert answer.status == first.status
        assert {k: answer.error[k] for k in told} == {k: first.error[k] for k in told}
        assert answer.error["request_id"] == answer.headers["x-request-id"]
        assert answer.error["request_id"] != first.error["request_id"]
    assert len(party.faucet.calls) == 1
    # Nobody pays, and nobody loses a unit.
    assert indoors.counter() == (0, 0, 0)


async def broken_off(party: Party, *, key: str = "") -> Exchange:
    """A follower on the right whose leader's stream broke off after 'Hel'."""
    leader = party.exchange(party.left, stream=True)
    led = leader.start()
    pour = await party.faucet.call()
    follower = party.exchange(party.right, stream=True, idempotency=key)
    following = follower.start()
    await party.told()
    await pour.send(ROLE)
    await pour.say("Hel")
    await follower.until(b"Hel")
    pour.close()
    await led
    assert data_events(leader.body)[-1]["error"]["code"] == "stream_interrupted"
    follower.following = following  # type: ignore[attr-defined]
    return follower


async def test_resume__same_beginning__goes_on_where_it_broke_off(
    indoors: World, party: Party
) -> None:
    follower = await broken_off(party)
    pour = await party.faucet.call(2)
    await pour.send(ROLE)
    await pour.say("H", "ello", " you.")
    await pour.finish()
    await follower.following
    assert content(data_events(follower.body)) == ["Hel", "lo", " you."]
    assert said(follower.answer) == "Hello you."
    # It asked for itself in the end, and so it pays.
    [row] = rows(indoors, follower.answer)
    assert (row.status, row.cached) == ("ok", False)
    assert row.cost_usd > 0


@pytest.mark.parametrize("text", ["Goodbye.", "He"])
async def test_resume__another_beginning__errs_in_band_without_done(
    indoors: World, party: Party, text: str
) -> None:
    follower = await broken_off(party)
    pour = await party.faucet.call(2)
    await pour.send(ROLE)
    await pour.say(text)
    await pour.finish()
    await follower.following
    events = data_events(follower.body)
    assert events[-1]["error"]["code"] == "stream_interrupted"
    assert b"[DONE]" not in follower.body
    assert content(events[:-1]) == ["Hel"]
    assert rows(indoors, follower.answer)


async def test_resume__more_than_text_was_passed__errs_in_band_and_is_settled(
    indoors: World, party: Party
) -> None:
    leader = party.exchange(party.left, stream=True)
    led = leader.start()
    pour = await party.faucet.call()
    follower = party.exchange(party.right, stream=True)
    following = follower.start()
    await party.told()
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}
    await pour.send(ROLE)
    await pour.send(tool_call(call))
    await follower.until(b'"f"')
    pour.close()
    await led
    again = await party.faucet.call(2)
    await again.send(ROLE, tool_call(call))
    await following
    assert data_events(follower.body)[-1]["error"]["code"] == "stream_interrupted"
    await again.left()


def tool_call(call: dict[str, Any]) -> bytes:
    return chunk(tool_calls=[call])


@pytest.mark.parametrize("status", [500, 400])
async def test_resume__nobody_answers_any_more__errs_in_band(
    party: Party, status: int
) -> None:
    follower = await broken_off(party)
    await (await party.faucet.call(2)).refuse(status)
    await follower.following
    assert data_events(follower.body)[-1]["error"]["code"] == "stream_interrupted"


async def test_resume__answer_was_stored_meanwhile__goes_on_from_there(
    party: Party,
) -> None:
    follower = await broken_off(party)
    pour = await party.faucet.call(2)
    third = party.ask(party.left)
    await asyncio.sleep(0.05)
    await pour.send(ROLE)
    await pour.say("Hello you.")
    await pour.finish()
    await follower.following
    assert said(follower.answer) == said(await third) == "Hello you."


async def test_leader__refused_by_quota__others_start_anew(
    indoors: World, party: Party
) -> None:
    poor = indoors.new_customer(daily_requests=0)[1]
    party.model = indoors.serve_at((party.faucet.url, "m"), cache_scope="global").model
    # Once connected, both ledgers wait for the same lock.
    for gateway in (party.left, party.right):
        await party.exchange(gateway, key=poor).run()
    with connect() as other, other.transaction():
        other.execute(LOCK)
        leader = party.ask(party.left, key=poor)
        await leading(party.left)
        follower = party.ask(party.left)
        far = party.ask(party.right)
        # The leader is being decided on, and both others have found it.
        while not (party.left.ledger.depth and party.right.flights._followed):
            await asyncio.sleep(0.002)
    assert (await leader).error["code"] == "insufficient_quota"
    pour = await party.faucet.call()
    await pour.answer("Hello.")
    answers = await asyncio.gather(follower, far)
    assert [said(answer) for answer in answers] == ["Hello."] * 2
    assert len(party.faucet.calls) == 1


async def test_follower__without_quota_or_budget__is_refused_or_served_free(
    indoors: World, party: Party
) -> None:
    leader = party.ask(party.left)
    pour = await party.faucet.call()
    indoors.budget(limit="0.000001")
    follower = party.ask(party.right)
    await party.told()
    await pour.whole("Hello.")
    assert said(await leader) == said(await follower) == "Hello."
    assert rows(indoors, await follower)[0].cost_usd == 0


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("key", ["", "k-1"])
async def test_follower__its_client_leaves__costs_a_unit_and_nothing_else(
    indoors: World, party: Party, begun: bool, key: str
) -> None:
    leader = party.exchange(party.left, stream=True)
    led = leader.start()
    pour = await party.faucet.call()
    follower = party.exchange(party.right, stream=True, idempotency=key)
    following = follower.start()
    await party.told()
    if begun:
        await pour.send(ROLE)
        await pour.say("Hel")
        await follower.until(b"Hel")
    follower.leave()
    await following
    [row] = indoors.eventually(lambda: indoors.rows_now())
    assert (row.status, row.error_code, row.cost_usd) == ("client_gone",) * 2 + (0,)
    own = IdempotencyKey.objects.filter(customer_id=indoors.customer.pk)
    assert not indoors.db(own.exists)
    await pour.send(ROLE)
    await pour.say("lo.")
    await pour.finish()
    await led
    assert leader.body.endswith(DONE)
    assert indoors.counter()[0] == 2


async def test_follower__with_a_key__replays_what_it_was_sent(party: Party) -> None:
    leader = party.ask(party.left)
    pour = await party.faucet.call()
    asked = {
        stream: party.ask(party.right, stream=stream, idempotency=f"k-{stream}")
        for stream in (False, True)
    }
    await party.told()
    await party.followed(party.right, 2)
    await pour.whole("Hello.")
    await leader
    for stream, first in asked.items():
        again = party.ask(party.left, stream=stream, idempotency=f"k-{stream}")
        assert (await again).body == (await first).body
        assert (await again).headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("stream", [False, True])
async def test_process__goes_down_while_it_follows__says_so(
    party: Party, stream: bool
) -> None:
    leader = party.ask(party.left, stream=True)
    pour = await party.faucet.call()
    follower = party.exchange(party.right, stream=stream)
    following = follower.start()
    await party.told()
    await pour.send(ROLE)
    await pour.say("Hel")
    if stream:
        await follower.until(b"Hel")
    party.right.pipeline.end_streams()
    await following
    if stream:
        error = data_events(follower.body)[-1]["error"]
        assert b"[DONE]" not in follower.body
    else:
        assert follower.answer.status == 503
        error = follower.answer.error
    assert error["code"] == "server_shutdown"
    await pour.finish()
    assert said(await leader) == "Hel"


async def test_redis_away__twins_of_one_process__still_share(
    indoors: World, settings: Settings, tmp_path: Path
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    settings.JOURNAL_DIR = tmp_path / "journal"
    gateway = await runtime.start()
    async with open_faucet() as faucet:
        alone = Party(indoors, faucet, gateway, gateway)
        alone.model = indoors.serve_at((faucet.url, "m")).model
        asked = [alone.ask(gateway, stream=n % 2 == 0) for n in range(10)]
        pour = await faucet.call()
        await alone.followed(gateway, 9)
        await pour.answer("Hello.")
        answers = await asyncio.gather(*asked)
        assert len(faucet.calls) == 1
        await gateway.stop()
    assert sorted(map(how, answers)) == ["coalesced"] * 9 + ["miss"]


async def test_no_cache__asked_to_go_past_it__neither_leads_nor_follows(
    party: Party,
) -> None:
    leader = party.ask(party.left)
    first = await party.faucet.call()
    other = party.exchange(party.left)
    other.scope["headers"].append((b"cache-control", b"no-cache"))
    asked = other.start()
    second = await party.faucet.call(2)
    await second.whole("Hello.")
    await asked
    assert said(other.answer) == "Hello."
    assert how(other.answer) == "miss"
    await first.whole("Hello.")
    assert said(await leader) == "Hello."
