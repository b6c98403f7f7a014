"""Responses are stored and shared in the form in which they came, byte for byte."""

import asyncio
from typing import Any

import orjson
import pytest

from llm.runtime import Runtime
from tests.live.faucet import END, ROLE
from tests.live.inside import DONE, Exchange, chunk, event, upstream
from tests.live.party import Party, rows
from tests.live.shared import how
from tests.live.wire import data_events
from tests.live.world import Answer, World, unique

pytestmark = pytest.mark.live

PATH = "/v1/responses"
USAGE = {"input_tokens": 12, "output_tokens": 2, "total_tokens": 14}
RESPONSE: dict[str, Any] = {"id": "resp_1", "object": "response", "status": "completed"}
OUTPUT = [{"type": "message", "content": [{"type": "output_text", "text": "Hello."}]}]
FINAL = {**RESPONSE, "output": OUTPUT, "usage": USAGE, "unknown": {"a": [2**70]}}


def numbered(*events: dict[str, Any]) -> list[bytes]:
    return [
        b"event: %b\n%b" % (one["type"].encode(), line({**one, "sequence_number": at}))
        for at, one in enumerate(events)
    ]


def line(value: dict[str, Any]) -> bytes:
    return event(value).replace(b'"BIG"', str(2**70).encode())


def native(final: dict[str, Any], kind: str = "response.completed") -> list[bytes]:
    final = {**final, "unknown": "BIG"}
    return numbered(
        {"type": "response.created", "response": {**RESPONSE, "status": "in_progress"}},
        {"type": "response.output_text.delta", "delta": "Hello.", "odd": {"x": 1}},
        {"type": kind, "response": final},
    )


def exchange(
    world: World, gateway: Runtime, model: str, text: str, **fields: Any
) -> Exchange:
    body = orjson.dumps({"model": model, "input": text, **fields})
    return Exchange(gateway, PATH, body, key=world.key)


def without_cost(answer: Answer) -> bytes:
    lines = answer.body.split(b"\n")
    return b"\n".join(one for one in lines if not one.startswith(b": x-valuecanvas"))


@pytest.mark.parametrize("kind", ["openai", "compatible"])
async def test_response__streamed_and_asked_again__is_a_hit_byte_for_byte(
    indoors: World, gateway: Runtime, kind: str
) -> None:
    text = unique("Say hello to")
    chat = [ROLE, chunk(content="Hello."), END, DONE]
    async with upstream(*(native(FINAL) if kind == "openai" else chat)) as url:
        model = indoors.serve_at((url, "m"), provider_kind=kind).model
        one, two = [
            await exchange(indoors, gateway, model, text, stream=True).run()
            for _ in "12"
        ]
        other = await exchange(
            indoors, gateway, model, text, stream=True, metadata={"a": "b"}
        ).run()
    assert [how(answer) for answer in (one, two, other)] == ["miss", "hit", "miss"]
    assert without_cost(one) == without_cost(two)
    assert data_events(two.body)[-1] == "[DONE]"
    assert b": x-valuecanvas-cost-usd=0.000000\n" in two.body
    row = indoors.usage(two.headers["x-request-id"])
    assert (row.cached, row.cost_usd) == (True, 0)


@pytest.mark.parametrize("kind", ["openai", "compatible"])
async def test_response__whole_and_asked_again__is_a_hit_byte_for_byte(
    indoors: World, gateway: Runtime, kind: str
) -> None:
    text = unique("Say hello to")
    message = {"role": "assistant", "content": "Hello."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    said = FINAL | {"unknown": 1} if kind == "openai" else {"choices": [choice]}
    async with upstream(orjson.dumps(said)) as url:
        model = indoors.serve_at((url, "m"), provider_kind=kind).model
        one, two = [await exchange(indoors, gateway, model, text).run() for _ in "12"]
    assert [how(answer) for answer in (one, two)] == ["miss", "hit"]
    assert one.body == two.body


@pytest.mark.parametrize("ending", ["response.incomplete", "response.failed"])
async def test_response__not_completed__is_not_stored(
    indoors: World, gateway: Runtime, ending: str
) -> None:
    text = unique("Say hello to")
    async with upstream(*native({**RESPONSE, "output": []}, ending)) as url:
        model = indoors.serve_at((url, "m"), provider_kind="openai").model
        found = [
            await exchange(indoors, gateway, model, text, stream=True).run()
            for _ in "12"
        ]
    assert [how(answer) for answer in found] == ["miss", "miss"]


async def test_response__followed__is_the_leaders_answer_at_no_cost(
    indoors: World, party: Party
) -> None:
    model = indoors.serve_at((party.faucet.url, "m"), provider_kind="openai").model
    asked = [
        exchange(indoors, gateway, model, party.text, stream=True)
        for gateway in (party.left, party.left, party.right)
    ]
    leader, *followers = asked
    serving = [leader.start()]
    pour = await party.faucet.call()
    serving += [one.start() for one in followers]
    await party.told(2)
    first, second, last = native(FINAL)
    await pour.send(first, second)
    for one in asked:
        await one.until(b"Hello.")
    await pour.send(last)
    pour.close()
    await asyncio.gather(*serving)
    bodies = {without_cost(one.answer) for one in asked}
    assert len(bodies) == 1
    assert [how(one.answer) for one in followers] == ["coalesced"] * 2
    assert [row.cost_usd for row in rows(indoors, *(f.answer for f in followers))] == [
        0,
        0,
    ]


async def test_response__leader_lost__errs_in_band_in_its_own_form(
    indoors: World, party: Party
) -> None:
    model = indoors.serve_at((party.faucet.url, "m"), provider_kind="openai").model
    leader, follower = (
        exchange(indoors, gateway, model, party.text, stream=True)
        for gateway in (party.left, party.right)
    )
    serving = [leader.start()]
    pour = await party.faucet.call()
    serving.append(follower.start())
    await party.told()
    await pour.send(*native(FINAL)[:2])
    await follower.until(b"Hello.")
    pour.close()
    again = await party.faucet.call(2)
    await again.send(*native(FINAL))
    again.close()
    await asyncio.gather(*serving)
    events = data_events(follower.body)
    assert events[-1]["type"] == "response.failed"
    assert events[-2]["error"]["code"] == "stream_interrupted"
    assert [one["sequence_number"] for one in events] == list(range(len(events)))
