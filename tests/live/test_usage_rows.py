"""Providers' usage as it ends up in the ledger: tokens, price, marks."""

from decimal import Decimal
from typing import Any

import orjson
import pytest

from billing.models import Usage
from llm.runtime import Runtime
from tests.live.inside import CHAT, DONE, Exchange, chunk, event, upstream
from tests.live.world import World, unique

pytestmark = pytest.mark.live

CACHE = {
    "prompt_tokens": 1000,
    "completion_tokens": 50,
    "total_tokens": 1050,
    "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 300},
}
OUTSIDE = {
    "prompt_tokens": 1000,
    "completion_tokens": 50,
    "total_tokens": 1950,
    "reasoning_tokens": 900,
}
UNTOLD = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1950}
TEXT = "word " * 900


def whole(usage: Any) -> tuple[bytes, ...]:
    message = {"role": "assistant", "content": "Hi."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return (orjson.dumps({"choices": [choice], "usage": usage}),)


def last_chunk(usage: Any) -> tuple[bytes, ...]:
    return (chunk(content="Hi."), chunk(), event({"choices": [], "usage": usage}), DONE)


def groq(usage: Any) -> tuple[bytes, ...]:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    ending = {"choices": [choice], "x_groq": {"id": "r", "usage": usage}}
    return (chunk(content="Hi."), event(ending), DONE)


async def row_of(
    world: World, gateway: Runtime, path: str, answer: tuple[bytes, ...], **fields: Any
) -> Usage:
    async with upstream(*answer) as url:
        served = world.serve_at((url, "m"), prices=("",))
        prices = {"cached_input_usd": Decimal(1), "cache_write_usd": Decimal(8)}
        world.price(served.providers[0], "m", usd="4", output="10", **prices)
        name = "input" if path.endswith("responses") else "messages"
        words = [{"role": "user", "content": unique(TEXT)}]
        body = orjson.dumps({"model": served.model, name: words, **fields})
        found = await Exchange(gateway, path, body, key=world.key).run()
    assert found.status == 200, found.body
    return world.usage(found.headers["x-request-id"])


@pytest.mark.parametrize(
    ("path", "answer", "stream"),
    [
        (CHAT, whole, False),
        (CHAT, last_chunk, True),
        (CHAT, groq, True),
        ("/v1/responses", whole, False),
        ("/v1/responses", groq, True),
    ],
)
@pytest.mark.parametrize(
    ("usage", "completion", "cached", "written", "marks"),
    [
        (CACHE, 50, 600, 300, []),
        (OUTSIDE, 950, 0, 0, []),
        (UNTOLD, 950, 0, 0, ["mismatch"]),
    ],
)
async def test_row__usage_in_another_form__has_its_tokens_and_price(
    indoors: World,
    gateway: Runtime,
    path: str,
    answer: Any,
    stream: bool,
    usage: Any,
    completion: int,
    cached: int,
    written: int,
    marks: list[str],
) -> None:
    row = await row_of(indoors, gateway, path, answer(usage), stream=stream)
    assert (row.prompt_tokens, row.completion_tokens) == (1000, completion)
    assert (row.cached_tokens, row.cache_write_tokens) == (cached, written)
    assert (row.source, row.marks) == ("provider", marks)
    plain = 1000 - cached - written
    micros = plain * 4 + cached * 1 + written * 8 + completion * 10
    assert row.cost_usd == Decimal(micros) / 1_000_000


async def test_row__all_written_to_the_cache__stays_within_what_was_held(
    indoors: World, gateway: Runtime
) -> None:
    indoors.budget(limit="0.07")
    usage = {**CACHE, "prompt_tokens_details": {"cache_write_tokens": 1000}}
    row = await row_of(indoors, gateway, CHAT, whole(usage), max_tokens=50)
    assert row.marks == []
    assert row.cost_usd == Decimal(1000 * 8 + 50 * 10) / 1_000_000
