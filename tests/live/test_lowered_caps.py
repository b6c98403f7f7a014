"""A cap above ours is lowered at every door, and what is sent fits the model."""

from typing import Any

import orjson
import pytest

from llm.runtime import Runtime
from tests.fixtures_billing import unique
from tests.live.faucet import open_faucet
from tests.live.inside import CHAT, Exchange, upstream
from tests.live.test_operators_parameters import stored
from tests.live.test_usage_bounds import honest
from tests.live.world import Answer, World

pytestmark = pytest.mark.live

RESPONSES, COMPLETE = "/v1/responses", "/api/llm/complete"
LOWERED = "x-valuecanvas-max-tokens"
# Each door, and each name that a cap has there.
CAPS = [
    (CHAT, "max_tokens"),
    (CHAT, "max_completion_tokens"),
    (RESPONSES, "max_output_tokens"),
    (COMPLETE, "maxTokens"),
]
WORD = "lorem "


def words(path: str, text: str = "") -> dict[str, Any]:
    text = text or unique("Say hello to")
    if path == CHAT:
        return {"messages": [{"role": "user", "content": text}]}
    return {"input" if path == RESPONSES else "prompt": text}


@pytest.mark.parametrize(("path", "name"), CAPS)
@pytest.mark.parametrize("asked", [4, 32_000, 10**15])
def test_cap__above_the_tiers__is_lowered_and_told(
    world: World, path: str, name: str, asked: int
) -> None:
    world.tier.max_output_tokens = 3
    world.db(world.tier.save)
    served = world.serve("ok-40")
    answer = world.post(path, model=served.model, **words(path), **{name: asked})
    assert (answer.status, answer.headers[LOWERED]) == (200, "3"), answer.body
    assert world.usage(answer.headers["x-request-id"]).completion_tokens == 3


@pytest.mark.parametrize(("path", "name"), CAPS)
def test_cap__within_ours__is_kept_and_nothing_is_told(
    world: World, path: str, name: str
) -> None:
    served = world.serve("ok-40", max_output_tokens=9)
    for fields in ({name: 9}, {name: 2}, {}):
        answer = world.post(path, model=served.model, **words(path), **fields)
        assert (answer.status, LOWERED in answer.headers) == (200, False)
        completion = world.usage(answer.headers["x-request-id"]).completion_tokens
        assert completion == fields.get(name, 9)


def test_cap__of_a_prompt__is_lowered_and_told(world: World) -> None:
    served = world.serve("ok-40", max_output_tokens=2)
    prompt = stored(max_tokens=5000)
    answer = world.post(RESPONSES, model=served.model, prompt=prompt, input="Now.")
    assert (answer.status, answer.headers[LOWERED]) == (200, "2")


@pytest.mark.parametrize("stream", [True, False])
def test_cap__of_a_stored_and_a_streamed_answer__is_told_as_well(
    world: World, stream: bool
) -> None:
    served = world.serve("ok", max_output_tokens=7)
    asked = {"model": served.model, **words(CHAT), "max_tokens": 8, "stream": stream}
    told = [world.post(CHAT, **asked) for _ in range(2)]
    assert [one.headers[LOWERED] for one in told] == ["7", "7"]


@pytest.mark.parametrize(("path", "name"), CAPS[:3])
@pytest.mark.parametrize("value", [0, -1, "8000", 1.5, True])
def test_cap__that_is_none__is_refused_by_name(
    world: World, path: str, name: str, value: object
) -> None:
    served = world.serve("ok")
    answer = world.post(path, model=served.model, **words(path), **{name: value})
    assert (answer.status, answer.error["param"]) == (400, name)


async def sent(
    indoors: World, gateway: Runtime, text: str, *, context: int | None, **fields: Any
) -> tuple[int, Answer]:
    """The cap that reached the provider, and the answer."""
    async with open_faucet() as faucet:
        served = indoors.serve_at(
            (faucet.url, "gpt-4o"), max_output_tokens=1000, context_tokens=context
        )
        body = orjson.dumps({"model": served.model, **words(CHAT, text), **fields})
        request = Exchange(gateway, CHAT, body, key=indoors.key)
        serving = request.start()
        pour = await faucet.call()
        await pour.answer("Hello.")
        await serving
    return pour.asked["max_tokens"], request.answer


@pytest.mark.parametrize(
    ("count", "context", "least", "most"),
    [
        (10, 4000, 1000, 1000),  # there is room
        (3200, 4000, 300, 800),  # what is left, though bytes / 3 say that nothing is
        (3200, 100_000, 1000, 1000),
        (3200, None, 1000, 1000),
        (9000, 4000, 256, 256),  # too long, as it seems: the provider will say
    ],
)
@pytest.mark.parametrize("fields", [{}, {"max_tokens": 8000}])
async def test_cap__prompt_fills_the_context__is_what_is_left(
    indoors: World,
    gateway: Runtime,
    count: int,
    context: int | None,
    least: int,
    most: int,
    fields: dict[str, int],
) -> None:
    cap, answer = await sent(indoors, gateway, WORD * count, context=context, **fields)
    assert least <= cap <= most
    assert answer.headers.get(LOWERED) == (str(cap) if fields else None)


async def test_cap__client_asks_for_less_than_is_left__is_kept(
    indoors: World, gateway: Runtime
) -> None:
    cap, answer = await sent(
        indoors, gateway, WORD * 3000, context=4000, max_tokens=100
    )
    assert (cap, LOWERED in answer.headers) == (100, False)


async def test_cap__counted_for_room_alone__leaves_what_may_be_billed(
    indoors: World, gateway: Runtime
) -> None:
    # Twice our count, and fewer than bytes: as some tokenizers have it.
    async with upstream(honest(6000)) as url:
        served = indoors.serve_at((url, "m"), context_tokens=4000)
        body = orjson.dumps({"model": served.model, **words(CHAT, WORD * 3000)})
        answer = await Exchange(gateway, CHAT, body, key=indoors.key).run()
    row = indoors.usage(answer.headers["x-request-id"])
    assert (row.prompt_tokens, row.marks) == (6000, [])


async def test_embedding__longer_than_the_context__is_the_providers_to_refuse(
    indoors: World, gateway: Runtime
) -> None:
    vector = {"object": "embedding", "index": 0, "embedding": [0.1]}
    reply = orjson.dumps({"data": [vector], "usage": {"prompt_tokens": 3000}})
    async with upstream(reply) as url:
        served = indoors.serve_at((url, "m"), kind="embedding", context_tokens=10)
        body = orjson.dumps({"model": served.model, "input": WORD * 3000})
        exchange = Exchange(gateway, "/v1/embeddings", body, key=indoors.key)
        assert (await exchange.run()).status == 200


@pytest.mark.parametrize(("limit", "passes"), [(4000, True), (1000, False)])
async def test_minute__prompt_bears_a_count__is_not_refused_for_ever(
    indoors: World, gateway: Runtime, limit: int, passes: bool
) -> None:
    key = indoors.new_customer(tokens_per_minute=limit)[1]
    async with upstream(honest(3010)) as url:
        served = indoors.serve_at((url, "gpt-4o"))
        asked = {"model": served.model, **words(CHAT, WORD * 3000), "max_tokens": 9}
        body = orjson.dumps(asked)
        answer = await Exchange(gateway, CHAT, body, key=key).run()
    assert answer.status == (200 if passes else 429)
    if not passes:
        assert "can never pass" in answer.error["message"]
        assert "send less of it" in answer.error["message"]
        assert "retry-after" not in answer.headers
