"""Followers of a stream that broke off: they ask again, and go on where it ended."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.live.faucet import ROLE
from tests.live.inside import Exchange, chunk
from tests.live.party import Party, rows
from tests.live.shared import said
from tests.live.wire import content, data_events
from tests.live.world import World

pytestmark = pytest.mark.live


async def broken_off(
    party: Party, *, key: str = "", meanwhile: Callable[[], Any] = lambda: None
) -> tuple[Exchange, asyncio.Task]:
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
    meanwhile()
    pour.close()
    await led
    assert data_events(leader.body)[-1]["error"]["code"] == "stream_interrupted"
    return follower, following


async def test_resume__same_beginning__goes_on_where_it_broke_off(
    indoors: World, party: Party
) -> None:
    follower, following = await broken_off(party)
    pour = await party.faucet.call(2)
    await pour.send(ROLE)
    await pour.say("H", "ello", " you.")
    await pour.finish()
    await following
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
    follower, following = await broken_off(party)
    pour = await party.faucet.call(2)
    await pour.send(ROLE)
    await pour.say(text)
    await pour.finish()
    await following
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
    follower, following = await broken_off(party)
    await (await party.faucet.call(2)).refuse(status)
    await following
    assert data_events(follower.body)[-1]["error"]["code"] == "stream_interrupted"


async def test_resume__answer_was_stored_meanwhile__goes_on_from_there(
    party: Party,
) -> None:
    follower, following = await broken_off(party)
    pour = await party.faucet.call(2)
    third = party.ask(party.left)
    await asyncio.sleep(0.05)
    await pour.send(ROLE)
    await pour.say("Hello you.")
    await pour.finish()
    await following
    assert said(follower.answer) == said(await third) == "Hello you."


async def test_resume__its_client_leaves_meanwhile__ends_the_new_call(
    indoors: World, party: Party
) -> None:
    follower, following = await broken_off(party)
    pour = await party.faucet.call(2)
    await pour.send(ROLE)
    await pour.say("Hello")
    await follower.until(b"lo")
    follower.leave()
    await following
    await pour.left()
    assert rows(indoors, follower.answer)[0].status == "client_gone"


async def test_resume__refused_when_it_asks_again__leaves_a_row_all_the_same(
    indoors: World, party: Party
) -> None:
    def lower_the_quota() -> None:
        indoors.tier.daily_requests = 1
        indoors.db(indoors.tier.save)

    follower, following = await broken_off(party, meanwhile=lower_the_quota)
    await following
    assert data_events(follower.body)[-1]["error"]["code"] == "stream_interrupted"
    [row] = rows(indoors, follower.answer)
    assert (row.status, row.error_code) == ("error", "insufficient_quota")
    assert (row.cost_usd, "refunded" in row.marks) == (0, True)
    assert row.completion_tokens > 0
    assert indoors.counter()[0] == 1
    assert indoors.reserved() == 0


async def test_resume__asked_again_and_failed__leaves_one_row(
    indoors: World, party: Party
) -> None:
    follower, following = await broken_off(party)
    await (await party.faucet.call(2)).refuse(500)
    await following
    [row] = rows(indoors, follower.answer)
    assert row.status == "error"
    assert indoors.reserved() == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_follow__leader_failed__each_leaves_a_row(
    indoors: World, party: Party, stream: bool
) -> None:
    led = party.ask(party.left, stream=stream)
    pour = await party.faucet.call()
    follower = party.exchange(party.right, stream=stream)
    following = follower.start()
    await party.told()
    await pour.refuse(500)
    await led
    await following
    assert follower.answer.status == 502
    [row] = rows(indoors, follower.answer)
    assert (row.status, row.cost_usd) == ("error", 0)
    assert indoors.counter() == (0, 0, 0)
