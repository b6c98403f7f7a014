"""Feature flags inside the gateway: its own parts, and what variants select."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import openai
import orjson
import pytest

from flags.models import Flag, Variant
from prompts.models import Label, Prompt, PromptVersion
from tests.fixtures_billing import unique
from tests.live.world import Served, World

pytestmark = pytest.mark.live


def switch_off(world: World, name: str) -> None:
    """`gateway.<name>` off for this world's customer only: the server is shared."""
    flag, _ = Flag.objects.get_or_create(name=f"gateway.{name}")
    flag.in_gateway, flag.everyone, flag.percent = True, None, Decimal(100)
    flag.user_ids, flag.target_variant = [world.customer.user_id], "off"
    flag.save()


def make_flag(world: World, *, tier: str = "", **effect: Any) -> Flag:
    """A flag whose variant 'b' does `effect`, for the world's tier only."""
    flag: Flag = Flag.objects.create(
        name=unique("flag"),
        kind="string",
        in_gateway=True,
        default_variant="a",
        tiers=[tier or world.tier.key],
        target_variant="b",
    )
    Variant.objects.create(flag=flag, name="a", value="A")
    Variant.objects.create(flag=flag, name="b", value="B", effect=effect)
    return flag


def ask(world: World, served: Served, **more: Any) -> Any:
    """The raw answer of a chat completion."""
    with world.sdk() as client:
        return client.chat.completions.with_raw_response.create(
            model=served.model,
            messages=[{"role": "user", "content": "Say it."}],
            extra_headers=more.pop("headers", {}),
            extra_body=more,
        )


def flags_of(world: World, raw: Any) -> dict[str, Any]:
    found: dict[str, Any] = world.usage(raw.headers["x-request-id"]).flags
    return found


def test_flag__its_variant_names_a_model__that_one_answers(world: World) -> None:
    served, other = world.serve("ok-7"), world.serve("ok-9")
    flag = make_flag(world, model=other.model, parameters={"max_tokens": 2})
    raw = ask(world, served, max_tokens=40)
    row = world.usage(raw.headers["x-request-id"])
    assert (row.model, row.completion_tokens) == (other.model, 2)
    assert row.flags[flag.name] == "b"


def test_flag__not_for_this_tier__changes_nothing_and_is_recorded(
    world: World,
) -> None:
    served, other = world.serve("ok-7"), world.serve("ok-9")
    flag = make_flag(world, tier="another", model=other.model)
    raw = ask(world, served)
    assert world.usage(raw.headers["x-request-id"]).model == served.model
    assert flags_of(world, raw)[flag.name] == "a"


def test_flag__switched__holds_for_the_next_request(world: World) -> None:
    served = world.serve("ok")
    flag = make_flag(world)
    for turn in range(20):
        flag.target_variant = "ab"[turn % 2]
        flag.save()
        assert flags_of(world, ask(world, served))[flag.name] == "ab"[turn % 2]


def test_flag__selects_a_label__the_prompt_is_that_version(world: World) -> None:
    served = world.serve("echo")
    prompt = Prompt.objects.create(key=unique("greet").lower())
    for number, (label, words) in enumerate(
        [("production", "Stable."), ("staging", "New.")], start=1
    ):
        version = PromptVersion.objects.create(
            prompt=prompt, number=number, template=words, digest=words
        )
        Label.objects.create(prompt=prompt, name=label, version=version)
    make_flag(world, prompt_label="staging")
    with world.sdk() as client:
        for asked in ({}, {"label": "production"}):
            answer = client.chat.completions.create(
                model=served.model,
                messages=[],
                extra_body={"prompt": {"id": prompt.key, **asked}},
            )
            assert answer.choices[0].message.content == "New."


def test_flag__selects_latest__the_prompt_is_its_newest_version(world: World) -> None:
    served = world.serve("echo")
    prompt = Prompt.objects.create(key=unique("greet").lower())
    for number, words in enumerate(["Stable.", "New."], start=1):
        version = PromptVersion.objects.create(
            prompt=prompt, number=number, template=words, digest=words
        )
        if number == 1:
            Label.objects.create(prompt=prompt, name="production", version=version)
    make_flag(world, prompt_label="latest")
    raw = ask(world, served, prompt={"id": prompt.key})
    assert raw.headers["x-valuecanvas-prompt-version"] == "2"


def test_flag__names_a_chat_model_and_parameters__embeddings_are_left_alone(
    world: World,
) -> None:
    served, other = world.serve("ok", kind="embedding"), world.serve("ok")
    flag = make_flag(world, model=other.model, parameters={"temperature": 0})
    with world.sdk() as client:
        raw = client.embeddings.with_raw_response.create(
            model=served.model, input=unique("words")
        )
    row = world.usage(raw.headers["x-request-id"])
    assert (row.model, row.flags[flag.name]) == (served.model, "b")


def test_flag__caps_the_answer__whatever_the_client_calls_its_cap(
    world: World,
) -> None:
    served = world.serve("ok-7")
    make_flag(world, parameters={"max_tokens": 2})
    for told in ({}, {"max_tokens": 40}, {"max_completion_tokens": 40}):
        answer = world.chat(served.model, **told)
        assert answer.json["usage"]["completion_tokens"] == 2
    for told in ({}, {"max_output_tokens": 40}):
        answer = world.post(
            "/v1/responses", model=served.model, input=unique("Say"), **told
        )
        assert answer.json["usage"]["output_tokens"] == 2


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_context__not_ascii__is_understood(world: World, encoding: str) -> None:
    served, flag = world.serve("ok"), make_flag(world, tier="another")
    wanted = {"attribute": "city", "operator": "equals", "value": "Malmö"}
    flag.rules.create(order=0, variant="b", conditions=[wanted])
    told = '{"city": "Malmö"}'.encode(encoding).decode("latin-1")
    body = {"model": served.model, "messages": [{"role": "user", "content": "Hi."}]}
    raw = world.request(
        "/v1/chat/completions", orjson.dumps(body), x_valuecanvas_context=told
    )
    assert flags_of(world, raw)[flag.name] == "b"


@pytest.mark.parametrize(
    "told",
    [
        {"headers": {"x-valuecanvas-context": '{"country": "SE"}'}},
        {"metadata": {"country": "SE"}},
    ],
)
def test_flag__rule_on_what_the_client_tells__fits(
    world: World, told: dict[str, Any]
) -> None:
    served, flag = world.serve("ok"), make_flag(world, tier="another")
    flag.rules.create(
        order=0,
        variant="b",
        conditions=[
            {"attribute": "country", "operator": "in", "value": ["SE", "NO"]},
            {"attribute": "tier", "operator": "equals", "value": world.tier.key},
        ],
    )
    assert flags_of(world, ask(world, served))[flag.name] == "a"
    assert flags_of(world, ask(world, served, **told))[flag.name] == "b"


def test_context__tier_claimed_by_the_client__is_not_believed(world: World) -> None:
    served, flag = world.serve("ok"), make_flag(world, tier="another")
    told = {"x-valuecanvas-context": '{"tier": "another"}'}
    assert flags_of(world, ask(world, served, headers=told))[flag.name] == "a"


@pytest.mark.parametrize("told", ["{", "[1]", "7", "x" * 5000])
def test_context__not_an_object__is_told(world: World, told: str) -> None:
    served = world.serve("ok")
    with pytest.raises(openai.BadRequestError) as caught:
        ask(world, served, headers={"x-valuecanvas-context": told})
    assert caught.value.param == "x-valuecanvas-context"


def test_cache_flag__off__answers_are_neither_stored_nor_reused(world: World) -> None:
    served = world.serve("ok")
    before = [ask(world, served).headers["x-valuecanvas-cache"] for _ in range(2)]
    switch_off(world, "cache")
    raw = ask(world, served)
    assert [*before, raw.headers["x-valuecanvas-cache"]] == ["miss", "hit", "bypass"]
    assert flags_of(world, raw)["gateway.cache"] == "off"


def test_coalescing_flag__off__each_calls_for_itself_but_hits_stay(
    world: World,
) -> None:
    served = world.serve("slow@700ms")
    switch_off(world, "coalescing")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(world, served), range(4)))
    assert [one.headers["x-valuecanvas-cache"] for one in answers] == ["miss"] * 4
    assert ask(world, served).headers["x-valuecanvas-cache"] == "hit"


def test_fallback_flag__off__the_first_routes_failure_is_the_answer(
    world: World,
) -> None:
    served = world.serve("status-500", "ok")
    assert ask(world, served).parse().choices
    switch_off(world, "fallback")
    with pytest.raises(openai.APIStatusError) as caught:
        ask(world, served, seed=1)
    assert caught.value.status_code >= 500


def test_provider_flag__off__its_routes_are_left_out(world: World) -> None:
    served = world.serve("ok", "ok")
    first, second = served.providers
    switch_off(world, f"provider.{first}")
    raw = ask(world, served)
    assert raw.headers["x-valuecanvas-provider"] == second
    switch_off(world, f"provider.{second}")
    with pytest.raises(openai.InternalServerError) as caught:
        ask(world, served, seed=1)
    assert caught.value.code == "no_route"
