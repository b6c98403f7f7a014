"""What a budget can bear is not refused, and what it cannot is billed to its limit."""

from decimal import Decimal

import pytest

from llm.metering.tokenizer import load_encoding
from llm.runtime import Runtime
from tests.live.inside import CHAT, DONE, Exchange, chat_body, chunk, event, upstream
from tests.live.test_usage_bounds import billed, honest, send, user
from tests.live.world import Answer, Served, World

pytestmark = pytest.mark.live

MILLION = Decimal(1_000_000)
TEXT = "The gateway holds money for a request before it is sent, at most.\n" * 3000
TRUE = len(load_encoding().encode_ordinary(TEXT))
# For 5 tokens of output at 2 USD a million, and the words and JSON around the text.
SPARE = 200


def limited(world: World, tokens: float) -> None:
    """A budget for so many tokens of prompt, and a little more."""
    world.budget(limit=str((int(tokens) + SPARE) / MILLION))


async def ask(
    world: World, gateway: Runtime, served: Served, text: str = TEXT, cap: int = 5
) -> Answer:
    messages = [user({"type": "text", "text": text})]
    return await send(
        world, gateway, model=served.model, messages=messages, max_tokens=cap
    )


@pytest.mark.parametrize(("model", "factor"), [("gpt-4o", 1), ("llama", 1.35)])
async def test_budget__bears_the_prompt_by_its_count__lets_it_pass(
    indoors: World, gateway: Runtime, model: str, factor: float
) -> None:
    limited(indoors, TRUE * factor)
    async with upstream(honest(TRUE + 10)) as url:
        served = indoors.serve_at((url, model))
        row = billed(indoors, await ask(indoors, gateway, served))
    assert (row.prompt_tokens, row.marks) == (TRUE + 10, [])


@pytest.mark.parametrize("claim", [TRUE * 2, 3 * len(TEXT)])
async def test_budget__provider_claims_more_than_was_counted__is_billed_what_was_held(
    indoors: World, gateway: Runtime, claim: int
) -> None:
    limited(indoors, TRUE)
    async with upstream(honest(claim)) as url:
        served = indoors.serve_at((url, "gpt-4o"))
        row = billed(indoors, await ask(indoors, gateway, served))
    assert row.marks == ["suspect"]
    assert TRUE <= row.prompt_tokens <= TRUE + SPARE
    assert row.cost_usd <= (TRUE + SPARE) / MILLION
    assert row.provider_cost_usd == Decimal(claim + 2 * 2) / MILLION
    assert indoors.counter()[2] == 0


async def test_budget__cannot_bear_the_count__says_what_helps(
    indoors: World, gateway: Runtime
) -> None:
    limited(indoors, TRUE / 2)
    served = indoors.serve_at(("http://127.0.0.1:9/v1", "gpt-4o"))
    answer = await ask(indoors, gateway, served)
    assert (answer.status, answer.error["code"]) == (429, "budget_exceeded")
    # No day is long enough, and no answer short enough.
    assert "can never pass" in answer.error["message"]
    assert "shorter prompt" in answer.error["message"]
    assert "max_tokens" not in answer.error["message"]
    assert indoors.counter() == (0, 0, 0)


async def test_budget__answer_is_what_does_not_fit__names_a_cap_that_does(
    indoors: World, gateway: Runtime
) -> None:
    limited(indoors, TRUE)
    async with upstream(honest(TRUE)) as url:
        served = indoors.serve_at((url, "gpt-4o"))
        answer = await ask(indoors, gateway, served, cap=4000)
        assert answer.status == 429
        told = answer.error["message"].rpartition("max_tokens of at most ")[2]
        cap = int(told.split()[0])
        assert 5 <= cap <= SPARE
        assert (await ask(indoors, gateway, served, cap=cap)).status == 200


async def test_budget__one_of_blanks__is_counted_too(
    indoors: World, gateway: Runtime
) -> None:
    blanks = " " * 900_000
    limited(indoors, 10_000)
    async with upstream(honest(7_050)) as url:
        served = indoors.serve_at((url, "gpt-4o"))
        row = billed(indoors, await ask(indoors, gateway, served, blanks))
    assert row.prompt_tokens == 7_050


async def test_minute__refuses_what_the_budget_could_bear__is_what_is_told(
    indoors: World, gateway: Runtime
) -> None:
    customer, indoors.key = indoors.new_customer(requests_per_minute=1)
    indoors.budget(target=customer, limit=str((TRUE + 5 * SPARE) / MILLION))
    async with upstream(honest(TRUE + 10)) as url:
        served = indoors.serve_at((url, "gpt-4o"))
        first = await send(indoors, gateway, model=served.model, messages=[user()], max_tokens=1)  # fmt: skip
        answer = await ask(indoors, gateway, served)
    assert (first.status, answer.status) == (200, 429)
    assert answer.error["code"] == "rate_limit_exceeded"


async def test_budget__caps_the_bill_of_a_stream__its_replay_says_the_same_cost(
    indoors: World, gateway: Runtime
) -> None:
    indoors.budget(limit="0.000175")
    counts = {"prompt_tokens": 55, "completion_tokens": 68, "total_tokens": 123}
    usage = event({"choices": [], "usage": counts})
    async with upstream(chunk(content="Hi."), chunk(), usage, DONE) as url:
        model = indoors.serve_at((url, "gpt-4o")).model
        body = chat_body(model, "Hi.", stream=True, max_tokens=50)
        answers = []
        for _ in range(2):
            exchange = Exchange(gateway, CHAT, body, key=indoors.key)
            exchange.scope["headers"].append((b"idempotency-key", b"k"))
            answers.append(await exchange.run())
    row = billed(indoors, answers[0])
    assert "capped" in row.marks
    assert row.cost_usd == Decimal("0.000175")
    assert b"cost-usd=0.000175\n" in answers[0].body
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert answers[1].body == answers[0].body
