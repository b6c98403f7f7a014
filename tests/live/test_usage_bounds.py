"""What is reserved bounds what is billed, wherever a client puts its words."""

from decimal import Decimal
from typing import Any

import orjson
import pytest

from billing.models import Usage
from llm.runtime import Runtime
from tests.live.inside import CHAT, DONE, Exchange, chunk, event, upstream
from tests.live.world import Answer, World, unique

pytestmark = pytest.mark.live

BIG = "word " * 160_000
PICTURE = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
MILLION = Decimal(1_000_000)


def said(text: str = "Hi.", **usage: int) -> bytes:
    """A whole answer; without `usage`, none is told."""
    message = {"role": "assistant", "content": text}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    return orjson.dumps({**body, "usage": usage} if usage else body)


def honest(prompt: int, completion: int = 2) -> bytes:
    return said(prompt_tokens=prompt, completion_tokens=completion)


async def send(
    world: World, gateway: Runtime, path: str = CHAT, **fields: Any
) -> Answer:
    body = orjson.dumps(fields)
    return await Exchange(gateway, path, body, key=world.key).run()


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    """A message of its own, so that no other call answers it."""
    text = {"type": "text", "text": unique("Sum up")}
    return {"role": "user", "content": [text, *parts]}


def billed(world: World, answer: Answer) -> Usage:
    assert answer.status == 200, answer.body
    return world.usage(answer.headers["x-request-id"])


HIDDEN: list[dict[str, Any]] = [
    {"role": "assistant", "function_call": {"name": "f", "arguments": BIG}},
    {"role": "assistant", "content": "", "reasoning_content": BIG},
    {"role": "user", "content": "hi", "name": BIG},
    {"role": "user", "content": {"type": "text", "text": BIG}},
]


@pytest.mark.parametrize("message", HIDDEN)
async def test_hidden_prompt__counted_by_the_provider__is_billed(
    indoors: World, gateway: Runtime, message: dict[str, Any]
) -> None:
    async with upstream(honest(160_020)) as url:
        served = indoors.serve_at((url, "m"))
        asked = {"messages": [message, user()], "max_tokens": 5}
        row = billed(indoors, await send(indoors, gateway, model=served.model, **asked))
    assert (row.prompt_tokens, row.source, row.marks) == (160_020, "provider", [])


@pytest.mark.parametrize("message", HIDDEN)
async def test_hidden_prompt__budget_cannot_bear_it__is_refused(
    indoors: World, gateway: Runtime, message: dict[str, Any]
) -> None:
    indoors.budget(limit="0.1")
    served = indoors.serve("ok")
    asked = {"messages": [message, user()], "max_tokens": 5}
    answer = await send(indoors, gateway, model=served.model, **asked)
    assert (answer.status, answer.error["code"]) == (429, "budget_exceeded")


async def test_prediction__rejected_by_the_model__is_billed_as_output(
    indoors: World, gateway: Runtime
) -> None:
    async with upstream(honest(160_040, 160_000)) as url:
        served = indoors.serve_at((url, "m"))
        prediction = {"type": "content", "content": BIG}
        asked = {"messages": [user()], "max_tokens": 50, "prediction": prediction}
        row = billed(indoors, await send(indoors, gateway, model=served.model, **asked))
    assert (row.completion_tokens, row.marks) == (160_000, [])


@pytest.mark.parametrize("model", ["gpt-4o-mini", "m"])
async def test_picture__counted_by_the_provider__is_billed(
    indoors: World, gateway: Runtime, model: str
) -> None:
    count = 25_511 if model == "gpt-4o-mini" else 1_105
    async with upstream(honest(count)) as url:
        served = indoors.serve_at((url, model))
        asked = {"messages": [user(PICTURE)], "max_tokens": 5}
        row = billed(indoors, await send(indoors, gateway, model=served.model, **asked))
    assert (row.prompt_tokens, row.marks) == (count, [])


async def test_picture__no_usage_told__is_not_free(
    indoors: World, gateway: Runtime
) -> None:
    async with upstream(said()) as url:
        served = indoors.serve_at((url, "m"))
        asked = {"messages": [user(PICTURE, PICTURE)], "max_tokens": 5}
        row = billed(indoors, await send(indoors, gateway, model=served.model, **asked))
    assert row.prompt_tokens >= 2 * 1_445
    assert row.marks == ["estimated"]


@pytest.mark.parametrize(
    ("usage", "count"),
    [(None, 1000), ({"prompt_tokens": 1000}, 1000), ({"prompt_tokens": 650}, 1000)],
)
async def test_embedding__of_token_ids__bills_each_of_them(
    indoors: World, gateway: Runtime, usage: dict[str, int] | None, count: int
) -> None:
    vector = {"object": "embedding", "index": 0, "embedding": [0.1]}
    reply = orjson.dumps({"object": "list", "data": [vector], "usage": usage})
    async with upstream(reply) as url:
        served = indoors.serve_at((url, "m"), kind="embedding")
        numbers = [list(range(1000))]
        answer = await send(
            indoors, gateway, "/v1/embeddings", model=served.model, input=numbers
        )
    row = billed(indoors, answer)
    assert count <= row.prompt_tokens <= count + 50


async def test_claim__larger_than_can_be__is_billed_up_to_what_was_reserved(
    indoors: World, gateway: Runtime
) -> None:
    async with upstream(honest(160_020)) as url:
        served = indoors.serve_at((url, "m"))
        asked = {"messages": [user()], "max_tokens": 5}
        row = billed(indoors, await send(indoors, gateway, model=served.model, **asked))
    most = len(orjson.dumps({"model": served.model, **asked})) + 16
    assert (row.prompt_tokens, row.marks, row.source) == (most, ["suspect"], "gateway")
    assert row.cost_usd == Decimal(most + 2 * 2) / MILLION
    assert row.provider_cost_usd == Decimal(160_020 + 2 * 2) / MILLION


CALL = {"index": 0, "function": {"arguments": "x"}}


@pytest.mark.parametrize(
    ("delta", "count", "marks"),
    [
        ({"content": "word "}, 40, []),
        ({"content": "word "}, 20, ["suspect"]),
        # Letters may be parts of tokens: only four of them make one for sure.
        ({"tool_calls": [CALL]}, 20, []),
        ({"tool_calls": [CALL]}, 2, ["suspect"]),
    ],
)
async def test_stream__claim_below_its_events__is_not_believed(
    indoors: World,
    gateway: Runtime,
    delta: dict[str, Any],
    count: int,
    marks: list[str],
) -> None:
    counts = {"prompt_tokens": 20, "completion_tokens": count}
    told = event({"choices": [], "usage": counts})
    text = [chunk(**delta)] * 40
    async with upstream(*text, chunk(), told, DONE) as url:
        served = indoors.serve_at((url, "m"))
        asked = {"messages": [user()], "max_tokens": 100, "stream": True}
        row = billed(indoors, await send(indoors, gateway, model=served.model, **asked))
    assert row.marks == marks
    assert row.completion_tokens == (40 if marks else count)


STATE: list[tuple[dict[str, Any], str]] = [
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"conversation": "conv_1"}, "conversation"),
    ({"background": True}, "background"),
    ({"service_tier": "priority"}, "service_tier"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
]


@pytest.mark.parametrize(("fields", "param"), STATE)
async def test_native_response__state_or_price_of_its_own__is_refused(
    indoors: World, gateway: Runtime, fields: dict[str, Any], param: str
) -> None:
    served = indoors.serve("ok", provider_kind="openai")
    asked = {"model": served.model, "input": unique("Hi"), **fields}
    answer = await send(indoors, gateway, "/v1/responses", **asked)
    assert (answer.status, answer.error["param"]) == (400, param)
    assert answer.error["code"] == "unsupported_parameter"
    assert indoors.counter() == (0, 0, 0)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"service_tier": "priority"}, "service_tier"),
        ({"web_search_options": {"a": 1}}, "web_search_options"),
    ],
)
async def test_chat__price_of_its_own__is_refused(
    indoors: World, gateway: Runtime, fields: dict[str, Any], param: str
) -> None:
    served = indoors.serve("ok")
    answer = await send(
        indoors, gateway, model=served.model, messages=[user()], **fields
    )
    assert (answer.status, answer.error["param"]) == (400, param)
