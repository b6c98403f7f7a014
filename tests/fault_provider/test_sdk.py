"""The official OpenAI SDK against the fault provider in a process of its own."""

import json
from types import SimpleNamespace

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

HI = [{"role": "user", "content": "hi"}]


class Canvas(BaseModel):
    """A structured answer."""

    title: str
    channels: list[str]


@pytest.fixture
def client(demo_provider):
    """A synchronous client that doesn't retry."""
    with OpenAI(base_url=demo_provider.url, api_key="x", max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(demo_provider):
    """An asynchronous client that doesn't retry."""
    async with AsyncOpenAI(
        base_url=demo_provider.url, api_key="x", max_retries=0
    ) as client:
        yield client


def test_sdk__stream__ends_with_usage(client):
    options = {"include_usage": True}
    with client.chat.completions.create(
        model="ok-31", messages=HI, stream=True, stream_options=options
    ) as stream:
        chunks = list(stream)
    assert len(chunks) == 31
    assert chunks[-1].usage.completion_tokens == 28
    assert chunks[-1].choices == []


def test_sdk__responses__are_parsed(client):
    answer = client.responses.create(model="responses", input="hi")
    with client.responses.stream(model="responses", input="hi") as stream:
        streamed = stream.get_final_response()
    assert answer.output_text == streamed.output_text
    assert "demo answer" in answer.output_text
    answer = client.responses.parse(
        model="responses", input="canvas for a tea bar", text_format=Canvas
    )
    assert answer.output_parsed.channels
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="demo", input="hi")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (402, openai.APIStatusError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (529, openai.InternalServerError),
    ],
)
def test_sdk__status__raises_its_class(client, status, error):
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=f"status-{status}", messages=HI)
    assert caught.value.status_code == status
    assert caught.value.body["message"].endswith("(demo provider)")


async def test_async_sdk__chat_and_stream__agree(async_client):
    answer = await async_client.chat.completions.create(model="ok-31", messages=HI)
    stream = await async_client.chat.completions.create(
        model="ok-31", messages=HI, stream=True
    )
    pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(pieces) == answer.choices[0].message.content


@pytest.mark.parametrize(
    ("model", "pieces", "error"),
    [
        ("error-event@0", 0, openai.APIError),
        ("error-event@5", 5, openai.APIError),
        ("reset@6", 5, openai.APIError),
        ("malformed@2", 2, json.JSONDecodeError),
    ],
)
async def test_async_sdk__broken_stream__raises_after_its_content(
    async_client, model, pieces, error
):
    seen = SimpleNamespace(pieces=0)

    async def read():
        stream = await async_client.chat.completions.create(
            model=model, messages=HI, stream=True
        )
        async for chunk in stream:
            seen.pieces += bool(chunk.choices[0].delta.content)

    with pytest.raises(error):
        await read()
    assert seen.pieces == pieces


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("reset@0", openai.APIConnectionError),
        ("hang", openai.APITimeoutError),
        ("hang_headers", openai.APITimeoutError),
        ("truncated", openai.APIConnectionError),
        ("malformed", json.JSONDecodeError),
        ("html-502", openai.InternalServerError),
    ],
)
async def test_async_sdk__broken_answer__raises(async_client, model, error):
    timeout = 0.3 if error is openai.APITimeoutError else 60
    with pytest.raises(error):
        await async_client.chat.completions.create(
            model=model, messages=HI, timeout=timeout
        )


async def test_async_sdk__attempt_header__reaches_the_send_log(
    async_client, demo_provider
):
    await async_client.chat.completions.create(
        model="ok-31", messages=HI, extra_headers={"x-valuecanvas-attempt": "sdk-1"}
    )
    attempt = demo_provider.attempt("sdk-1")
    assert (attempt.outcome, attempt.tokens) == ("done", 29)
