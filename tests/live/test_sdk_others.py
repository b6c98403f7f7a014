"""The official SDK's embeddings and responses against a live gateway."""

from decimal import Decimal

import openai
import pytest
from pydantic import BaseModel

from tests.live.world import World

pytestmark = pytest.mark.live


class Verdict(BaseModel):
    title: str
    score: int


def test_sdk_embeddings__default__come_as_base64_and_are_decoded(world: World) -> None:
    served = world.serve("ok", kind="embedding")
    with world.sdk() as client:
        raw = client.embeddings.with_raw_response.create(
            model=served.model, input=["one", "two words"]
        )
    found = raw.parse()
    assert [one.index for one in found.data] == [0, 1]
    assert all(
        isinstance(value, float) for one in found.data for value in one.embedding
    )
    row = world.usage(raw.headers["x-request-id"])
    assert (row.endpoint, row.completion_tokens) == ("embeddings", 0)
    assert row.prompt_tokens == found.usage.prompt_tokens
    assert row.cost_usd == Decimal(found.usage.prompt_tokens) / 1_000_000


async def test_sdk_embeddings__float__are_the_same_vectors(world: World) -> None:
    served = world.serve("ok", kind="embedding")
    async with world.async_sdk() as client:
        floats = await client.embeddings.create(
            model=served.model, input="one", encoding_format="float"
        )
        packed = await client.embeddings.create(
            model=served.model, input="one", encoding_format="base64"
        )
    assert isinstance(floats.data[0].embedding[0], float)
    assert isinstance(packed.data[0].embedding, str)


def test_embeddings__tokens_as_input__are_counted(world: World) -> None:
    served = world.serve("ok", kind="embedding")
    answer = world.post("/v1/embeddings", model=served.model, input=[[1, 2, 3], [4]])
    assert answer.status == 200
    assert len(answer.json["data"]) == 2


def test_embeddings__chat_model__is_refused_as_the_wrong_endpoint(world: World) -> None:
    served = world.serve("ok")
    answer = world.post("/v1/embeddings", model=served.model, input="hi")
    assert (answer.status, answer.error["code"]) == (400, "wrong_endpoint")


@pytest.mark.parametrize("behaviour", ["malformed", "truncated", "status-500"])
def test_embeddings__provider_fails__come_from_the_next_one(
    world: World, behaviour: str
) -> None:
    served = world.serve(behaviour, "ok", kind="embedding")
    answer = world.post("/v1/embeddings", model=served.model, input="hi")
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]


@pytest.mark.parametrize("kind", ["compatible", "openai"])
def test_sdk_responses__whole__answers_translated_or_native(
    world: World, kind: str
) -> None:
    served = world.serve("responses+ok-10", provider_kind=kind)
    with world.sdk() as client:
        raw = client.responses.with_raw_response.create(
            model=served.model, input="Say hello.", instructions="Be short."
        )
    response = raw.parse()
    assert response.status == "completed"
    assert response.output_text
    assert response.usage is not None
    row = world.usage(raw.headers["x-request-id"])
    assert (row.prompt_tokens, row.completion_tokens) == (
        response.usage.input_tokens,
        response.usage.output_tokens,
    )
    assert (row.endpoint, row.source) == ("responses", "provider")
    endpoint = world.attempt(raw.headers["x-request-id"]).endpoint
    native = "/v1/responses" if kind == "openai" else "/v1/chat/completions"
    assert endpoint == native


@pytest.mark.parametrize("kind", ["compatible", "openai"])
async def test_sdk_responses__streamed__gives_typed_events_to_the_end(
    world: World, kind: str
) -> None:
    served = world.serve("responses+ok-10", provider_kind=kind)
    async with world.async_sdk() as client:
        raw = await client.responses.with_raw_response.create(
            model=served.model, input="Say hello.", stream=True
        )
        events = [event async for event in raw.parse()]
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert "response.output_text.delta" in kinds
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(numbers)
    text = [
        event.delta for event in events if event.type == "response.output_text.delta"
    ]
    final = events[-1]
    assert final.type == "response.completed"
    assert final.response.output_text == "".join(text)
    row = world.usage(raw.headers["x-request-id"])
    assert final.response.usage is not None
    assert row.completion_tokens == final.response.usage.output_tokens
    assert row.status == "ok"


@pytest.mark.parametrize("kind", ["compatible", "openai"])
def test_sdk_responses__structured__parses_into_the_model(
    world: World, kind: str
) -> None:
    served = world.serve("responses", provider_kind=kind)
    with world.sdk() as client:
        response = client.responses.parse(
            model=served.model, input="Judge this.", text_format=Verdict
        )
    assert isinstance(response.output_parsed, Verdict)


@pytest.mark.parametrize("kind", ["compatible", "openai"])
def test_sdk_responses__tool__is_called(world: World, kind: str) -> None:
    served = world.serve("responses", provider_kind=kind)
    with world.sdk() as client:
        response = client.responses.create(
            model=served.model,
            input="What is the weather?",
            tool_choice="required",
            tools=[
                {
                    "type": "function",
                    "name": "weather",
                    "parameters": {
                        "type": "object",
                        "properties": {"city": {"type": "string"}},
                        "required": ["city"],
                    },
                    "strict": False,
                }
            ],
        )
    [call] = [item for item in response.output if item.type == "function_call"]
    assert call.name == "weather"


@pytest.mark.parametrize("kind", ["compatible", "openai"])
def test_sdk_responses__stream_breaks_after_content__raises(
    world: World, kind: str
) -> None:
    served = world.serve("responses+reset@12+ok-40", provider_kind=kind)
    kinds = []
    with world.sdk() as client:
        raw = client.responses.with_raw_response.create(
            model=served.model, input="Say hello.", stream=True
        )
        with pytest.raises(openai.APIError) as raised:
            for event in raw.parse():
                kinds.append(event.type)
    assert "response.output_text.delta" in kinds
    assert "response.completed" not in kinds
    assert "broke off" in str(raised.value)
    row = world.usage(raw.headers["x-request-id"])
    assert (row.status, row.error_code) == ("interrupted", "stream_interrupted")


@pytest.mark.parametrize("kind", ["compatible", "openai"])
@pytest.mark.parametrize("stream", [False, True])
def test_responses__primary_fails_before_content__come_from_the_next_one(
    world: World, kind: str, stream: bool
) -> None:
    served = world.serve("responses+error-event@0", "responses", provider_kind=kind)
    answer = world.post(
        "/v1/responses", model=served.model, input="Say hello.", stream=stream
    )
    assert answer.status == 200
    assert answer.headers["x-valuecanvas-provider"] == served.providers[1]


def test_responses__what_chat_cannot_do__is_refused_before_admission(
    world: World,
) -> None:
    served = world.serve("ok")
    answer = world.post(
        "/v1/responses",
        model=served.model,
        input="Go on.",
        previous_response_id="resp_123",
    )
    assert (answer.status, answer.error["param"]) == (400, "previous_response_id")
    assert world.counter() == (0, 0, 0)
