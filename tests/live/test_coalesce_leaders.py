"""Identical requests at once: the leader, which calls the provider for all."""

import asyncio
from pathlib import Path

import pytest
from pytest_django import Settings

from billing.ledger.connection import connect
from llm import runtime
from tests.live.faucet import ROLE, open_faucet
from tests.live.party import Party, leading, rows
from tests.live.shared import how, offered, said
from tests.live.world import World

pytestmark = pytest.mark.live

MANY = 60
LOCK = "LOCK TABLE billing_counter IN ACCESS EXCLUSIVE MODE"


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


@pytest.mark.parametrize("where", ["left", "right"])
async def test_leader__its_client_and_then_its_followers_leave__ends_the_call(
    indoors: World, party: Party, where: str
) -> None:
    leader = party.exchange(party.left, stream=True)
    led = leader.start()
    pour = await party.faucet.call()
    await pour.send(ROLE)
    await pour.say("Hel")
    await leader.until(b"Hel")
    others = [party.exchange(getattr(party, where), stream=True) for _ in range(2)]
    followed = [one.start() for one in others]
    for one in others:
        await one.until(b"Hel")
    leader.leave()
    others[0].leave()
    await followed[0]
    # One is left who wants it.
    await pour.say("lo.")
    await others[1].until(b"lo.")
    assert not led.done()
    others[1].leave()
    await asyncio.gather(led, followed[1])
    await pour.left()
    bills = rows(indoors, leader.answer, *(one.answer for one in others))
    assert [row.status for row in bills] == ["client_gone"] * 3
    assert [row.cost_usd > 0 for row in bills] == [True, False, False]
    assert party.left.shared_calls._led == {}
    assert party.right.shared_calls._followed == {}


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
    assert party.left.shared_calls._led == {}


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


async def test_leader__refused_by_quota__others_start_anew(
    indoors: World, party: Party
) -> None:
    poor = indoors.new_customer(daily_requests=0)[1]
    party.model = indoors.serve_at((party.faucet.url, "m"), cache_scope="global").model
    # Once connected, both ledgers wait for the same lock.
    for gateway in (party.left, party.right):
        await party.exchange(gateway, key=poor, temperature=0.5).run()
    with connect() as other, other.transaction():
        other.execute(LOCK)
        leader = party.ask(party.left, key=poor)
        await leading(party.left)
        follower = party.ask(party.left)
        far = party.ask(party.right)
        # The leader is being decided on, and both others have found it.
        while not (party.left.ledger.depth and party.right.shared_calls._followed):
            await asyncio.sleep(0.002)
    assert (await leader).error["code"] == "insufficient_quota"
    pour = await party.faucet.call()
    await pour.answer("Hello.")
    answers = await asyncio.gather(follower, far)
    assert [said(answer) for answer in answers] == ["Hello."] * 2
    assert len(party.faucet.calls) == 1


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
