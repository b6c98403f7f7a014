"""The official SDK's chat completions against a live gateway."""

from decimal import Decimal

import orjson
import pytest
from openai import pydantic_function_tool
from openai.types.chat import ChatCompletionUserMessageParam
from pydantic import BaseModel

from tests.live.world import World

pytestmark = pytest.mark.live

HELLO: list[ChatCompletionUserMessageParam] = [
    {"role": "user", "content": "Say hello to the world."}
]


class Weather(BaseModel):
    """Looks up the weather."""

    city: str
    days: int


class Verdict(BaseModel):
    title: str
    score: int


def test_sdk_chat__sync__answers_and_bills_what_it_says(world: World) -> None:
    served = world.serve("ok-10")
    with world.sdk() as client:
        raw = client.chat.completions.with_raw_response.create(
            model=served.model, messages=HELLO
        )
    completion = raw.parse()
    assert completion.choices[0].message.content
    assert completion.usage is not None
    billed = completion.usage.prompt_tokens + 2 * completion.usage.completion_tokens
    row = world.usage(raw.headers["x-request-id"])
    assert row.cost_usd == Decimal(billed) / 1_000_000
    assert Decimal(raw.headers["x-valuecanvas-cost-usd"]) == row.cost_usd
    assert (row.user_id, row.model) == (world.customer.user_id, served.model)
    assert (row.status, row.source, row.endpoint) == ("ok", "provider", "chat")
    assert (row.prompt_tokens, row.completion_tokens) == (
        completion.usage.prompt_tokens,
        completion.usage.completion_tokens,
    )
    assert row.marks == []
    assert world.reserved() == 0
    assert world.counter() == (1, billed, 0)


def test_sdk_chat__raw_headers__tell_provider_epoch_and_what_is_left(
    world: World,
) -> None:
    served = world.serve("ok")
    with world.sdk() as client:
        raw = client.chat.completions.with_raw_response.create(
            model=served.model, messages=HELLO
        )
    sent = raw.headers
    row = world.usage(sent["x-request-id"])
    assert sent["x-valuecanvas-provider"] == served.providers[0]
    assert int(sent["x-valuecanvas-epoch"]) == row.epoch
    assert sent["x-ratelimit-limit-requests"] == "1000"
    assert sent["x-ratelimit-remaining-requests"] == "999"
    assert sent["x-ratelimit-reset-requests"].endswith("s")
    assert sent["RateLimit-Policy"] == '"daily";q=1000;w=86400'
    assert sent["RateLimit"].startswith('"daily";r=999;t=')
    assert sent["content-type"] == "application/json"
    assert sent["content-length"] == str(len(raw.content))


async def test_sdk_chat__async__answers(world: World) -> None:
    served = world.serve("echo")
    async with world.async_sdk() as client:
        completion = await client.chat.completions.create(
            model=served.model, messages=HELLO
        )
    assert completion.choices[0].message.content == "Say hello to the world."


def test_sdk_chat__streamed_without_usage__hides_the_usage_chunk(world: World) -> None:
    served = world.serve("ok-12")
    with world.sdk() as client:
        raw = client.chat.completions.with_raw_response.create(
            model=served.model, messages=HELLO, stream=True
        )
        chunks = list(raw.parse())
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(pieces)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert len({(chunk.id, chunk.created) for chunk in chunks}) == 1
    row = world.usage(raw.headers["x-request-id"])
    assert (row.status, row.source) == ("ok", "provider")
    assert row.ttft_ms is not None
    assert raw.headers["content-type"] == "text/event-stream"
    assert raw.headers["x-accel-buffering"] == "no"


async def test_sdk_chat__async_stream_with_usage__ends_with_what_was_billed(
    world: World,
) -> None:
    served = world.serve("ok-31")
    async with world.async_sdk() as client:
        raw = await client.chat.completions.with_raw_response.create(
            model=served.model,
            messages=HELLO,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in raw.parse()]
    assert len(chunks) == 31
    assert [chunk.usage is None for chunk in chunks] == [True] * 30 + [False]
    usage = chunks[-1].usage
    assert usage is not None
    assert chunks[-1].choices == []
    row = world.usage(raw.headers["x-request-id"])
    assert (row.prompt_tokens, row.completion_tokens) == (
        usage.prompt_tokens,
        usage.completion_tokens,
    )


def test_chat_stream__finished__tells_its_cost_in_a_comment(world: World) -> None:
    served = world.serve("ok-8")
    answer = world.chat(served.model, stream=True)
    *_, last, rest = answer.body.split(b"\n\n")
    comment, _, done = last.partition(b"\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    name, _, cost = comment.decode().partition("=")
    assert name == ": x-valuecanvas-cost-usd"
    row = world.usage(answer.headers["x-request-id"])
    assert Decimal(cost) == row.cost_usd > 0


def test_sdk_chat__tool__is_called_with_arguments_of_its_schema(world: World) -> None:
    served = world.serve("ok")
    tool = pydantic_function_tool(Weather)
    with world.sdk() as client:
        completion = client.chat.completions.create(
            model=served.model, messages=HELLO, tools=[tool], tool_choice="required"
        )
    [call] = completion.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "Weather"
    Weather.model_validate_json(call.function.arguments)
    assert completion.choices[0].finish_reason == "tool_calls"


def test_sdk_chat__streamed_tool_call__is_relayed_and_billed(world: World) -> None:
    served = world.serve("ok")
    tool = pydantic_function_tool(Weather)
    with world.sdk() as client:
        raw = client.chat.completions.with_raw_response.create(
            model=served.model,
            messages=HELLO,
            tools=[tool],
            tool_choice="required",
            stream=True,
        )
        deltas = [chunk.choices[0].delta for chunk in raw.parse()]
    calls = [call for delta in deltas for call in delta.tool_calls or []]
    arguments = [(call.function and call.function.arguments) or "" for call in calls]
    Weather.model_validate_json("".join(arguments))
    assert world.usage(raw.headers["x-request-id"]).completion_tokens > 0


def test_sdk_chat__structured_output__parses_into_the_model(world: World) -> None:
    served = world.serve("ok")
    with world.sdk() as client:
        completion = client.chat.completions.parse(
            model=served.model, messages=HELLO, response_format=Verdict
        )
    assert isinstance(completion.choices[0].message.parsed, Verdict)


def test_chat__unknown_fields_and_pictures__reach_the_provider_untouched(
    world: World,
) -> None:
    served = world.serve("echo")
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    answer = world.post(
        "/v1/chat/completions",
        model=served.model,
        messages=[{"role": "user", "content": parts}],
        something_new={"deep": [1, {"er": None}]},
        n=2,
    )
    assert answer.status == 200
    assert [one["message"]["content"] for one in answer.json["choices"]] == [
        "What is this?",
        "What is this?",
    ]


def test_chat__no_limit_given__sends_and_pays_the_tiers_cap(world: World) -> None:
    customer, key = world.new_customer(daily_requests=5, max_output_tokens=7)
    served = world.serve("ok")
    answer = world.chat(served.model, key=key)
    assert answer.json["usage"]["completion_tokens"] == 7
    assert answer.json["choices"][0]["finish_reason"] == "length"
    assert world.counter(customer)[0] == 1


def test_chat__cached_prompt_tokens__are_billed_at_their_own_price(
    world: World,
) -> None:
    served = world.serve("cached@5", prices=("",))
    provider = served.providers[0]
    world.price(provider, "cached@5", usd="4", cached_input_usd=Decimal(1))
    answer = world.chat(served.model, "One two three four five six seven eight nine")
    used = answer.json["usage"]
    cached = used["prompt_tokens_details"]["cached_tokens"]
    assert cached == 5
    micros = 4 * (used["prompt_tokens"] - 5) + 5 + 8 * used["completion_tokens"]
    row = world.usage(answer.headers["x-request-id"])
    assert row.cost_usd == Decimal(micros) / 1_000_000
    assert row.cached_tokens == 5


@pytest.mark.parametrize("lie", ["negative", "huge", "string", "low"])
@pytest.mark.parametrize("stream", [False, True])
def test_chat__provider_lies_about_usage__bills_our_own_count_and_flags_it(
    world: World, lie: str, stream: bool
) -> None:
    served = world.serve(f"lie_usage-{lie}+ok-40")
    answer = world.chat(served.model, "word " * 400, stream=stream)
    row = world.usage(answer.headers["x-request-id"])
    assert (row.source, row.marks, row.status) == ("gateway", ["suspect"], "ok")
    assert 100 < row.prompt_tokens < 1000
    assert 10 < row.completion_tokens < 160
    assert row.cost_usd > 0


@pytest.mark.parametrize("stream", [False, True])
def test_chat__provider_gives_no_usage__bills_an_estimate(
    world: World, stream: bool
) -> None:
    served = world.serve("lie_usage-absent+ok-40")
    answer = world.chat(served.model, stream=stream)
    row = world.usage(answer.headers["x-request-id"])
    assert (row.source, row.marks) == ("gateway", ["estimated"])
    assert row.completion_tokens > 0


def test_chat__provider_ignores_the_cap__pays_at_most_what_the_budget_has(
    world: World,
) -> None:
    served = world.serve("ignore_max_tokens")
    world.budget(limit="0.000200")
    answer = world.chat(served.model, "hi", max_tokens=40)
    assert answer.status == 200
    row = world.usage(answer.headers["x-request-id"])
    assert row.cost_usd <= Decimal("0.000200") < row.provider_cost_usd
    assert world.counter()[1] <= 200


def test_sdk_models__list_and_retrieve__show_what_the_key_may_use(world: World) -> None:
    mine, other = world.serve("ok", name="acme/large 2"), world.serve("ok")
    unrouted = world.serve()
    hidden = world.serve("ok", enabled=False)
    key = world.new_key(allowed_models=[mine.model, unrouted.model, hidden.model])
    with world.sdk(key) as client:
        assert [model.id for model in client.models.list()] == [mine.model]
        model = client.models.retrieve(mine.model)
    assert model.owned_by == mine.providers[0]
    assert model.created > 0
    with world.sdk() as client:
        names = {model.id for model in client.models.list()}
    assert {mine.model, other.model} <= names
    assert not {unrouted.model, hidden.model} & names


def test_models__unknown__is_404_in_the_openai_body(world: World) -> None:
    answer = world.request("/v1/models/no-such-model")
    assert answer.status == 404
    assert answer.error == {
        "message": answer.error["message"],
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
        "request_id": answer.headers["x-request-id"],
    }


def test_chat__body__is_relayed_byte_for_byte(world: World) -> None:
    served = world.serve("ok")
    answer = world.chat(served.model)
    assert orjson.dumps(answer.json) == answer.body
    assert answer.json["model"] == "ok"
