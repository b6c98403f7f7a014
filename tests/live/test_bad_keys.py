"""Is our key bad, or one request? The provider's words and one question decide."""

import asyncio
from typing import Any

import pytest
from pytest_django import Settings

from llm.breaker.types import BreakerState, BreakerView, Name
from llm.configuration.model_facts import ProviderFacts
from llm.providers import key_probe
from llm.providers.key_probe import KeyProbe
from llm.providers.registry import KINDS
from llm.runtime import Runtime
from tests.live.inside import ask
from tests.live.scripted import NO_KEY, Asked, healthy, provider, said
from tests.live.test_inside_streams import acquired, half_open
from tests.live.world import World
from tests.tcp import tcp_server

pytestmark = pytest.mark.live

FLAGGED = {"error": {"message": "Your input was flagged.", "code": "flagged_input"}}


def refusing(status: int, body: Any, models: bytes) -> Any:
    """Refuses the prompts that say 'bad'; `models` is its answer to GET /models."""

    def answer(asked: Asked) -> bytes:
        if asked.path.endswith("/models"):
            return models
        bad = "bad" in asked.text
        return said(status, body) if bad else healthy(asked)

    return answer


async def settled(gateway: Runtime, provider_key: str) -> BreakerView:
    """The breaker once no question about a key is open."""
    while gateway.outcomes.checks:
        await asyncio.sleep(0.01)
    return await gateway.board.read(Name(provider_key, "m"))


GOOD, BAD = said(200, {"data": []}), said(401, NO_KEY)


@pytest.mark.parametrize(
    ("status", "body", "models", "shown"),
    [
        (401, NO_KEY, GOOD, 502),
        (401, {}, GOOD, 502),
        (401, {}, said(503), 502),
        (401, {}, said(404), 502),
        (403, NO_KEY, GOOD, 502),
        (403, FLAGGED, BAD, 400),
        (403, {}, BAD, 400),
        (402, {}, GOOD, 502),
    ],
)
async def test_refusal__of_one_prompt__leaves_the_model_to_the_others(
    indoors: World,
    gateway: Runtime,
    status: int,
    body: Any,
    models: bytes,
    shown: int,
) -> None:
    async with provider(refusing(status, body, models)) as url:
        served = indoors.serve_at((url, "m"))
        for _ in range(6):
            answer = await ask(indoors, gateway, served.model, text="A bad prompt.")
            assert answer.status == shown
        assert (
            await settled(gateway, served.providers[0])
        ).state is BreakerState.CLOSED
        assert (await ask(indoors, gateway, served.model)).status == 200
    assert indoors.counter()[0] == 1


@pytest.mark.parametrize(
    ("status", "body", "models", "reason"),
    [
        (401, NO_KEY, BAD, "auth"),
        (401, {}, BAD, "auth"),
        (401, NO_KEY, said(404), "auth"),
        (401, NO_KEY, said(503), "auth"),
        (403, NO_KEY, BAD, "auth"),
        (402, {}, said(402), "billing"),
    ],
)
async def test_refusal__key_fails_the_question_too__opens_the_breaker(
    indoors: World,
    gateway: Runtime,
    status: int,
    body: Any,
    models: bytes,
    reason: str,
) -> None:
    async with provider(refusing(status, body, models)) as url:
        served = indoors.serve_at((url, "m"))
        assert (await ask(indoors, gateway, served.model, text="bad")).status == 502
        look = await settled(gateway, served.providers[0])
    assert (look.state, look.reason) == (BreakerState.OPEN, reason)


async def test_flagged_prompt__403__is_the_callers_with_the_providers_words(
    indoors: World, gateway: Runtime
) -> None:
    async with provider(refusing(403, FLAGGED, GOOD)) as url:
        served = indoors.serve_at((url, "m"))
        answer = await ask(indoors, gateway, served.model, text="bad")
    assert (answer.status, answer.error["code"]) == (400, "flagged_input")
    assert answer.error["message"] == "Your input was flagged."


async def test_probe_of_the_breaker__refused_for_one_prompt__frees_its_slot(
    indoors: World, gateway: Runtime
) -> None:
    async with provider(refusing(401, NO_KEY, GOOD)) as url:
        served = indoors.serve_at((url, "m"))
        name = await half_open(gateway, served.providers[0])
        assert (await ask(indoors, gateway, served.model, text="bad")).status == 502
        assert (
            await settled(gateway, served.providers[0])
        ).state is BreakerState.HALF_OPEN
        assert (await acquired(gateway, name)).probe


async def test_question__provider_at_an_address_that_is_refused__is_not_asked(
    gateway: Runtime, settings: Settings
) -> None:
    settings.LLM_ALLOW_HTTP_PROVIDERS = False
    probe = KeyProbe(gateway.pool)
    kind = KINDS["compatible"]
    where = ProviderFacts("p", kind, "http://127.0.0.1:1/v1", "a-key", enabled=True)
    assert await probe.is_refused(where) is None


async def test_question__old_answer__is_asked_again(
    gateway: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_probe, "FRESH_S", -key_probe.WITHIN_S)
    asked: list[str] = []

    def answer(question: Asked) -> bytes:
        asked.append(question.key)
        return BAD if len(asked) == 1 else GOOD

    probe = KeyProbe(gateway.pool)
    async with provider(answer) as url:
        where = ProviderFacts("p", KINDS["compatible"], url, "a-key", enabled=True)
        assert await probe.is_refused(where) is True
        assert await probe.is_refused(where) is False
    assert asked == ["a-key"] * 2


async def test_question__many_refused_at_once__is_asked_once_and_with_the_key(
    indoors: World, gateway: Runtime
) -> None:
    keys: list[str] = []

    def answer(asked: Asked) -> bytes:
        if asked.path.endswith("/models"):
            keys.append(asked.key)
        return BAD

    async with provider(answer) as url:
        served = indoors.serve_at((url, "m"), api_key="a-key")
        asked = (ask(indoors, gateway, served.model) for _ in range(8))
        answers = await asyncio.gather(*asked)
        await settled(gateway, served.providers[0])
    assert {one.status for one in answers} <= {502, 503}
    assert keys == ["a-key"]


async def test_question__under_way__keeps_no_answer_waiting(
    indoors: World, gateway: Runtime
) -> None:
    """The provider never answers GET /models, and the next one serves at once."""
    never = asyncio.Event()

    async def silent(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if (await reader.readline()).startswith(b"GET"):
            await never.wait()
        writer.write(BAD)

    async with tcp_server(silent) as port, provider() as good:
        served = indoors.serve_at((f"http://127.0.0.1:{port}/v1", "m"), (good, "m"))
        answer = await ask(indoors, gateway, served.model)
        assert answer.headers["x-valuecanvas-provider"] == served.providers[1]
        assert gateway.outcomes.checks
