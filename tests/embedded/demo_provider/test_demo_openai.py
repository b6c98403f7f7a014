"""The official OpenAI SDK against the demo provider, and the one with faults."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from openai import OpenAI
from pydantic import BaseModel

from llm.management.commands import demo_provider as command

PROJECT = Path(command.__file__).parents[3]
HI = [{"role": "user", "content": "hi"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


class Canvas(BaseModel):
    """A structured answer."""

    title: str
    channels: list[str]


@pytest.fixture(scope="module")
def demo_url():
    """The URL of `manage.py demo_provider`, which ends cleanly when told to."""
    with subprocess.Popen(
        [sys.executable, "manage.py", "demo_provider"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("demo provider listening on http://127.0.0.1:")
            yield line.split()[-1]
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()


@pytest.fixture(params=["demo", "fault"])
def client(request):
    """A client that doesn't retry, of either provider."""
    if request.param == "demo":
        url = request.getfixturevalue("demo_url")
    else:
        url = request.getfixturevalue("demo_provider").url
    with OpenAI(base_url=url, api_key="x", max_retries=0) as client:
        yield client


def test_sdk__stream__says_what_the_whole_answer_says(client):
    whole = client.chat.completions.create(model="demo", messages=HI)
    options = {"include_usage": True}
    with client.chat.completions.create(
        model="demo", messages=HI, stream=True, stream_options=options
    ) as stream:
        *chunks, last = stream
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(pieces) == whole.choices[0].message.content
    assert (last.choices, last.usage) == ([], whole.usage)


def test_sdk__chat__is_answered(client):
    answer = client.chat.completions.create(model="demo", messages=HI)
    assert "demo answer" in answer.choices[0].message.content
    assert answer.usage.total_tokens > answer.usage.completion_tokens > 0


def test_sdk__raw_response__has_the_body(client):
    raw = client.chat.completions.with_raw_response.create(model="demo", messages=HI)
    assert raw.status_code == 200
    assert raw.parse().object == "chat.completion"


def test_sdk__models_and_embeddings__are_served(client):
    assert "demo" in {model.id for model in client.models.list()}
    answer = client.embeddings.create(model="demo-embedding", input=["a", "b"])
    assert [len(item.embedding) for item in answer.data] == [384, 384]


def test_sdk__tools__are_parsed(client):
    with client.chat.completions.stream(
        model="demo", messages=HI, tools=[TOOL]
    ) as stream:
        message = stream.get_final_completion().choices[0].message
    [call] = message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "demo city"}


def test_sdk__structured_output__is_parsed(client):
    messages = [{"role": "user", "content": "canvas for a tea bar"}]
    answer = client.chat.completions.parse(
        model="demo", messages=messages, response_format=Canvas
    )
    assert "Ordering online and delivery" in answer.choices[0].message.parsed.channels
