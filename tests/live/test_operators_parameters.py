"""What a version or a flag sets never gives the client an error for it."""

from typing import Any

import orjson
import pytest
from django.conf import settings

from llm.runtime import Runtime
from tests.fixtures_billing import unique
from tests.live.faucet import open_faucet
from tests.live.inside import CHAT, Exchange
from tests.live.test_gateway_flags import make_flag
from tests.live.test_stored_prompts import HELLO, make_prompt
from tests.live.world import Answer, Served, World

pytestmark = pytest.mark.live

RESPONSES = "/v1/responses"
CHAT_ONLY = {
    "stop": ["!"],
    "seed": 7,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.25,
    "logit_bias": {"50256": -100},
    "top_k": 40,
}


def ask(
    world: World, served: Served, path: str = CHAT, *, text: str = "", **fields: Any
) -> Answer:
    """A request with the prompt `fields["prompt"]`, or with a text of its own."""
    text = text or unique("Say hello to")
    words = {"input": text} if path == RESPONSES else {"messages": [{"role": "user", "content": text}]}  # fmt: skip
    return world.post(path, model=served.model, **words, **fields)


def stored(**parameters: Any) -> dict[str, Any]:
    """A prompt with these parameters, as a request names it."""
    prompt = make_prompt(HELLO, parameters=parameters)
    return {"id": prompt.key, "variables": {"name": unique("Ann")}}


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_version__cap_above_the_tiers__is_lowered_to_it(
    world: World, path: str
) -> None:
    world.tier.max_output_tokens = 3
    world.db(world.tier.save)
    served = world.serve("ok-40")
    answer = ask(world, served, path, prompt=stored(max_tokens=5000))
    assert answer.status == 200, answer.body
    assert world.usage(answer.headers["x-request-id"]).completion_tokens == 3
    if path == RESPONSES:
        assert answer.json["max_output_tokens"] == 3


@pytest.mark.parametrize(
    ("path", "field"),
    [(CHAT, "max_tokens"), (CHAT, "max_completion_tokens"), (RESPONSES, "max_output_tokens")],
)  # fmt: skip
def test_client__own_cap_above_the_tiers__is_lowered_like_an_operators(
    world: World, path: str, field: str
) -> None:
    world.tier.max_output_tokens = 3
    world.db(world.tier.save)
    served = world.serve("ok-40")
    answer = ask(world, served, path, prompt=stored(max_tokens=2), **{field: 4})
    assert world.usage(answer.headers["x-request-id"]).completion_tokens == 3


def test_flag__cap_above_the_models__is_lowered_to_it(world: World) -> None:
    served = world.serve("ok-40", max_output_tokens=2)
    make_flag(world, parameters={"max_completion_tokens": 900})
    answer = ask(world, served, max_tokens=1)
    assert world.usage(answer.headers["x-request-id"]).completion_tokens == 2


def test_version_and_flag__too_many_answers__are_as_many_as_may_be(
    world: World,
) -> None:
    served = world.serve("ok")
    answer = ask(world, served, prompt=stored(n=500))
    assert (answer.status, len(answer.json["choices"])) == (200, settings.LLM_MAX_N)
    make_flag(world, parameters={"n": 400})
    answer = ask(world, served)
    assert (answer.status, len(answer.json["choices"])) == (200, settings.LLM_MAX_N)
    assert ask(world, served, RESPONSES).status == 200


def test_client__own_n_too_large__is_refused_by_name(world: World) -> None:
    served = world.serve("ok")
    answer = ask(world, served, prompt=stored(n=2), n=500)
    assert (answer.status, answer.error["param"]) == (400, "n")


async def sent(
    indoors: World,
    gateway: Runtime,
    path: str = RESPONSES,
    kind: str = "compatible",
    **fields: Any,
) -> tuple[dict[str, Any], Answer]:
    """What reached the provider of a request with `fields`, and the answer."""
    async with open_faucet() as faucet:
        served = indoors.serve_at((faucet.url, "up"), provider_kind=kind)
        body = orjson.dumps({"model": served.model, **fields})
        request = Exchange(gateway, path, body, key=indoors.key)
        serving = request.start()
        pour = await faucet.call()
        if kind == "openai" and path == RESPONSES:
            await pour.refuse(400)
        else:
            await pour.answer("Hello.")
        await serving
        return pour.asked, request.answer


async def test_responses__versions_chat_only_parameters__apply_to_the_translated_call(
    indoors: World, gateway: Runtime
) -> None:
    prompt = indoors.db(stored, **CHAT_ONLY, n=4, verbosity="low", logprobs=True)
    asked, answer = await sent(indoors, gateway, prompt=prompt)
    assert answer.status == 200, answer.body
    assert {name: asked[name] for name in CHAT_ONLY} == CHAT_ONLY
    assert (asked["verbosity"], asked["logprobs"]) == ("low", True)
    assert "n" not in asked


async def test_responses__versions_chat_only_parameters__are_no_part_of_a_native_call(
    indoors: World, gateway: Runtime
) -> None:
    prompt = indoors.db(
        stored, **CHAT_ONLY, n=4, temperature=0.5, reasoning_effort="low"
    )
    asked, _ = await sent(indoors, gateway, kind="openai", prompt=prompt)
    assert asked["temperature"] == 0.5
    assert asked["reasoning"] == {"effort": "low"}
    assert asked.keys() == {
        "model", "input", "temperature", "reasoning", "max_output_tokens", "include"
    }  # fmt: skip


async def test_responses__clients_own_fields__reach_a_native_call_as_they_are(
    indoors: World, gateway: Runtime
) -> None:
    prompt = indoors.db(stored, stop=["?"])
    asked, _ = await sent(indoors, gateway, kind="openai", prompt=prompt, stop=["!"], new_field=1)  # fmt: skip
    assert (asked["stop"], asked["new_field"]) == (["!"], 1)


async def test_chat__versions_words_of_responses__apply(
    indoors: World, gateway: Runtime
) -> None:
    prompt = indoors.db(
        stored,
        reasoning={"effort": "low"},
        text={"verbosity": "low"},
        truncation="auto",
    )
    asked, answer = await sent(indoors, gateway, CHAT, prompt=prompt)
    assert answer.status == 200, answer.body
    assert (asked["reasoning_effort"], asked["verbosity"]) == ("low", "low")
    assert not asked.keys() & {"reasoning", "text", "truncation", "prompt"}


def test_responses__versions_tool_as_chats_have_it__is_called(world: World) -> None:
    served = world.serve("ok")
    schema = {"type": "object", "properties": {}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    answer = ask(
        world, served, RESPONSES, prompt=stored(tools=[tool], tool_choice="required")
    )
    assert answer.status == 200, answer.body
    assert answer.json["output"][0]["name"] == "f"


def test_responses__versions_tool_that_no_chat_has__blames_the_operator(
    world: World,
) -> None:
    served = world.serve("ok")
    tools = {"tools": [{"type": "web_search"}]}
    answer = ask(world, served, RESPONSES, prompt=stored(**tools))
    assert (answer.status, answer.error["code"]) == (500, "prompt_broken")
    assert "This kind of tool" in answer.error["message"]
    answer = ask(world, served, RESPONSES, prompt=stored(), **tools)
    assert (answer.status, answer.error["param"]) == (400, "tools[0].type")
