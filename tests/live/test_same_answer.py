"""What others get of an answer is the answer: hits, followers, repeated requests."""

from typing import Any

import orjson
import pytest

from llm.runtime import Runtime
from tests.live.inside import CHAT, DONE, Exchange, chat_body, event, upstream
from tests.live.party import Party
from tests.live.shared import how
from tests.live.wire import data_events
from tests.live.world import Answer, World, unique
from tests.llm.answer_streams import facts, without_numbers
from tests.llm.cache.test_answer_forms import END, JOINED, NOT_JOINED, WHOLES

pytestmark = pytest.mark.live

BIG = {"content": "x", "seed": 2**70}
ENDED = ("two choices", "ends twice")
KEPT = {name: [*chunks, END] for name, chunks in JOINED.items() if name not in ENDED}
LOST = {
    name: [*chunks, END] for name, chunks in NOT_JOINED.items() if name not in ENDED
}


def script(chunks: list[dict[str, Any]]) -> list[bytes]:
    return [*map(event, chunks), DONE]


def said(answer: Answer) -> dict[str, Any]:
    """What an answer says, in whatever form it came."""
    assert answer.status == 200, answer.body
    if answer.headers["content-type"].startswith("application/json"):
        return without_numbers(facts(answer.json["choices"]))
    *chunks, end = data_events(answer.body)
    assert end == "[DONE]"
    return without_numbers(facts(part for one in chunks for part in one["choices"]))


async def ask(
    world: World, gateway: Runtime, model: str, text: str, key: str = "", **fields: Any
) -> Answer:
    made = Exchange(gateway, CHAT, chat_body(model, text, **fields), key=world.key)
    if key:
        made.scope["headers"].append((b"idempotency-key", key.encode()))
    return await made.run()


@pytest.mark.parametrize("name", [*KEPT, *LOST])
async def test_stream__asked_again__is_the_same_answer_or_fetched_anew(
    indoors: World, gateway: Runtime, name: str
) -> None:
    text = unique("Say hello to")
    async with upstream(*script(KEPT.get(name) or LOST[name])) as url:
        model = indoors.serve_at((url, "m")).model
        live = await ask(indoors, gateway, model, text, stream=True, key="k" + text)
        again = await ask(indoors, gateway, model, text, stream=True)
        repeated = await ask(indoors, gateway, model, text, stream=True, key="k" + text)
        whole = await ask(indoors, gateway, model, text) if name in KEPT else None
    assert how(again) == ("hit" if name in KEPT else "miss")
    assert said(again) == said(live)
    assert repeated.body == live.body
    if whole is not None:
        assert how(whole) == "hit"
        assert said(whole) == said(live)


@pytest.mark.parametrize("message", WHOLES)
async def test_whole__asked_again_as_a_stream__is_the_same_answer(
    indoors: World, gateway: Runtime, message: dict[str, Any]
) -> None:
    text = unique("Say hello to")
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    async with upstream(orjson.dumps({"id": "c", "choices": [choice]})) as url:
        model = indoors.serve_at((url, "m")).model
        live = await ask(indoors, gateway, model, text)
        again = await ask(indoors, gateway, model, text, stream=True)
    assert (how(live), how(again)) == ("miss", "hit")
    assert said(again) == said(live)


async def test_whole__with_a_number_that_a_stream_would_round__is_not_stored(
    indoors: World, gateway: Runtime
) -> None:
    text = unique("Say hello to")
    body = b'{"choices":[{"index":0,"finish_reason":"stop","message":{"content":"x",'
    body += b'"seed":%d}}]}' % 2**70
    async with upstream(body) as url:
        model = indoors.serve_at((url, "m")).model
        found = [await ask(indoors, gateway, model, text) for _ in "12"]
    assert [how(one) for one in found] == ["miss", "miss"]
    assert [one.body for one in found] == [body] * 2


async def test_follower__of_a_stream_that_cannot_be_joined__gets_it_or_asks_alone(
    party: Party,
) -> None:
    led = party.ask(party.left, stream=True)
    pour = await party.faucet.call()
    usage = {"include_usage": True}
    streamed = [
        party.ask(party.left, stream=True),
        party.ask(party.right, stream=True, stream_options=usage),
    ]
    wholes = [party.ask(party.left), party.ask(party.right)]
    await party.told(3)
    await party.followed(party.right, 2)
    parts = script(LOST["details in pieces"])
    counted = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    told = event({"choices": [], "usage": {**counted, "more": {"a": 1}}})
    await pour.send(*parts[:-1], told, parts[-1])
    pour.close()
    first = await led
    for one in streamed:
        answer = await one
        assert how(answer) == "coalesced"
        assert said(answer) == said(first)
    usages = [e.get("usage") for e in data_events(answer.body) if e != "[DONE]"]
    assert usages[-1]["more"] == {"a": 1}
    # Both ask at once: neither waits for the other.
    for number in (2, 3):
        await (await party.faucet.call(number)).answer("Hello.")
    assert [how(await one) for one in wholes] == ["miss", "miss"]


async def test_follower__streamed_of_a_whole_that_cannot_be__asks_alone(
    party: Party,
) -> None:
    led = party.ask(party.left)
    pour = await party.faucet.call()
    streamed = party.ask(party.right, stream=True)
    whole = party.ask(party.left)
    await party.told(2)
    choices = [
        {"message": {"content": text}, "finish_reason": "stop"} for text in ("a", "b")
    ]
    await pour.send(orjson.dumps({"id": "c", "choices": choices}))
    pour.close()
    assert said(await whole) == said(await led)
    assert how(await whole) == "coalesced"
    await (await party.faucet.call(2)).answer("Hello.")
    assert how(await streamed) == "miss"
