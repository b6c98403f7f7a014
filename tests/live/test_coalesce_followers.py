"""Identical requests at once: the followers, who get what another one gets."""

import asyncio

import pytest

from billing.models import IdempotencyKey
from tests.live.faucet import ROLE
from tests.live.inside import DONE
from tests.live.party import Party, rows
from tests.live.shared import how, said, usages
from tests.live.wire import data_events
from tests.live.world import World

pytestmark = pytest.mark.live


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
        sent = await first
        again = party.ask(party.left, stream=stream, idempotency=f"k-{stream}")
        assert (await again).body == sent.body
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


@pytest.mark.parametrize("stream", [False, True])
async def test_follower__cancelled_by_the_server__gets_its_unit_back(
    indoors: World, party: Party, stream: bool
) -> None:
    leader = party.ask(party.left)
    pour = await party.faucet.call()
    follower = party.exchange(party.right, stream=stream, idempotency="k-1")
    following = follower.start()
    await party.told()
    following.cancel("The server is going down.")
    with pytest.raises(asyncio.CancelledError):
        await following
    [row] = indoors.eventually(lambda: indoors.rows_now())
    assert (row.status, row.error_code) == ("error", "abandoned")
    assert row.marks == ["refunded"]
    await pour.whole("Hello.")
    assert said(await leader) == "Hello."
    assert indoors.counter()[0] == 1
    again = await party.exchange(party.right, stream=stream, idempotency="k-1").run()
    assert said(again) == "Hello."
    assert "idempotent-replayed" not in again.headers
