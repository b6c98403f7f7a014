"""Requests of which nothing was delivered: who pays for the prompt, and when nobody."""

import asyncio
from decimal import Decimal
from typing import Any

import orjson
import pytest

from llm.runtime import Runtime
from tests.live.inside import CHAT, Exchange, ask, chat_body, chunk, upstream
from tests.live.test_inside_entrances import full_backlog
from tests.live.world import World

pytestmark = pytest.mark.live

PROMPT = "word " * 4000
ROLE = chunk(role="assistant")


async def abandoned(
    world: World,
    gateway: Runtime,
    url: str,
    heard: asyncio.Event | None = None,
    **fields: Any,
) -> Any:
    """The ledger row of a request whose client leaves while it waits for content.

    It leaves once the provider has `heard` it; without, nobody ever does.
    """
    served = world.serve_at((url, "m"), prices=("10",))
    exchange = Exchange(
        gateway, CHAT, chat_body(served.model, PROMPT, **fields), key=world.key
    )
    serving = exchange.start()
    await asyncio.to_thread(world.eventually, world.reserved_now)
    if heard is not None:
        await heard.wait()
    await asyncio.sleep(0.05)
    exchange.leave()
    await serving
    [row] = await asyncio.to_thread(world.eventually, world.rows_now)
    assert exchange.sent == []
    assert world.reserved() == 0
    return row


async def test_stream__client_leaves_before_the_first_token__pays_for_the_prompt(
    indoors: World, gateway: Runtime
) -> None:
    heard = asyncio.Event()
    async with upstream(ROLE, 20.0, heard=heard) as url:
        row = await abandoned(indoors, gateway, url, heard, stream=True)
    assert (row.status, row.marks, row.source) == (
        "client_gone",
        ["estimated"],
        "gateway",
    )
    assert row.prompt_tokens >= len(PROMPT) // 5
    assert row.completion_tokens == 0
    assert row.cost_usd == row.provider_cost_usd == row.prompt_tokens * Decimal("1e-5")
    used, spent, _ = indoors.counter()
    assert (used, spent) == (1, int(row.cost_usd * 1_000_000))


async def test_stream__client_leaves_before_anything_was_sent__pays_nothing(
    indoors: World, gateway: Runtime
) -> None:
    with full_backlog() as url:
        row = await abandoned(indoors, gateway, url, stream=True)
    assert row.marks == ["refunded"]
    assert (row.cost_usd, row.provider_cost_usd) == (0, 0)
    assert indoors.counter() == (0, 0, 0)


async def test_stream__given_up_by_us__costs_us_the_prompt_and_the_caller_nothing(
    indoors: World, gateway: Runtime
) -> None:
    heard = asyncio.Event()
    async with upstream(ROLE, 20.0, heard=heard) as url:
        served = indoors.serve_at((url, "m"), prices=("10",))
        body = chat_body(served.model, PROMPT, stream=True)
        serving = Exchange(gateway, CHAT, body, key=indoors.key).start()
        await heard.wait()
        await asyncio.sleep(0.1)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        [row] = await asyncio.to_thread(indoors.eventually, indoors.rows_now)
    assert row.marks == ["estimated", "refunded"]
    assert row.cost_usd == 0
    assert row.provider_cost_usd > Decimal("0.01")
    assert indoors.counter() == (0, 0, 0)


@pytest.mark.parametrize("streamed", [True, False])
async def test_refusal__control_characters_in_the_providers_words__is_refunded(
    indoors: World, gateway: Runtime, streamed: bool
) -> None:
    error = {"message": "No\x00 \x1bway.\nNo.", "code": "a\x00b\nc", "param": "\x00"}
    async with upstream(orjson.dumps({"error": error}), status=400) as url:
        served = indoors.serve_at((url, "m"))
        answer = await ask(indoors, gateway, served.model, stream=streamed)
        [row] = await asyncio.to_thread(indoors.eventually, indoors.rows_now)
    assert answer.status == 400
    assert answer.error["message"] == "No way.\nNo."
    assert answer.error["code"] == "ab c"
    assert answer.error["param"] is None
    assert (row.status, row.error_code, row.marks) == ("error", "ab c", ["refunded"])
    assert indoors.counter() == (0, 0, 0)
    assert indoors.reserved() == 0
