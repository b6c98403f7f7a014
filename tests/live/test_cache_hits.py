"""Stored answers: who gets them, in which form, and what they cost."""

from typing import Any

import pytest
from django.utils import timezone

from llm.cache import invalidation
from tests.fixtures_billing import make_team
from tests.live.shared import Offer, how, offered, said, usages
from tests.live.wire import data_events
from tests.live.world import Answer, World

pytestmark = pytest.mark.live

USAGE = {"stream_options": {"include_usage": True}}


def check_hit(world: World, first: Answer, answer: Answer) -> None:
    """Free of charge, and the row says what was saved."""
    assert how(answer) == "hit"
    assert said(answer) == said(first)
    assert 0 <= int(answer.headers["age"]) < 60
    assert answer.headers["x-valuecanvas-provider"]
    bill = world.usage(first.headers["x-request-id"])
    row = world.usage(answer.headers["x-request-id"])
    assert (row.cached, row.cost_usd, row.source) == (True, 0, "cache")
    assert row.saved_usd == bill.cost_usd > 0
    assert bill.saved_usd == 0
    assert (row.attempts, row.status) == (0, "ok")
    assert (row.prompt_tokens, row.completion_tokens, row.provider) == (
        bill.prompt_tokens,
        bill.completion_tokens,
        bill.provider,
    )


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_hit__asked_again_streamed_or_not__is_the_same_and_free(
    world: World, first: bool, second: bool
) -> None:
    with offered(world) as offer:
        one, two = offer.ask(stream=first), offer.ask(stream=second)
        assert offer.calls == 1
    assert how(one) == "miss"
    assert "age" not in one.headers
    check_hit(world, one, two)
    if not second:
        assert two.headers["x-valuecanvas-cost-usd"] == "0.000000"
    else:
        assert b"\n\n: x-valuecanvas-cost-usd=0.000000\ndata: [DONE]\n\n" in two.body
        assert usages(two) == []
    assert world.counter()[0] == 2
    assert world.reserved() == 0


@pytest.mark.parametrize("first", [False, True])
def test_hit__usage_asked__comes_last_as_the_first_one_had_it(
    world: World, first: bool
) -> None:
    with offered(world) as offer:
        one = offer.ask(stream=first)
        streamed = offer.ask(stream=True, **USAGE)
        whole = offer.ask()
    assert whole.json["usage"] == usages(streamed)[0]
    assert len(usages(streamed)) == 1
    assert data_events(streamed.body)[-2]["choices"] == []
    row = world.usage(one.headers["x-request-id"])
    assert whole.json["usage"]["completion_tokens"] == row.completion_tokens


def test_hit__of_a_stream__is_what_a_whole_call_gives(world: World) -> None:
    with offered(world) as offer:
        offer.ask(stream=True)
        kept = offer.ask().json
        fresh = offer.ask(cache_control_header="no-store").json
    assert kept["choices"][0]["message"] == {
        name: fresh["choices"][0]["message"][name]
        for name in kept["choices"][0]["message"]
    }
    assert kept["object"] == fresh["object"] == "chat.completion"
    assert kept["usage"] == fresh["usage"]
    assert kept["choices"][0]["finish_reason"] == "stop"


def test_hit__by_the_sdk__is_an_ordinary_answer(world: World) -> None:
    with offered(world) as offer, world.sdk() as client:
        ask: Any = client.chat.completions.create
        messages = [{"role": "user", "content": offer.text}]
        one = ask(model=offer.model, messages=messages)
        parts = [
            chunk.choices[0].delta.content or ""
            for chunk in ask(model=offer.model, messages=messages, stream=True)
        ]
        assert offer.calls == 1
    assert "".join(parts) == one.choices[0].message.content


def test_hit__short_way__says_that_it_was_cached(world: World) -> None:
    with offered(world) as offer:
        asked = {"model": offer.model, "prompt": offer.text, "userId": "ann"}
        world.free_tier()
        key = world.new_key(scopes=["llm", "act_as", "act_as_jwt"])
        one, two = (world.post("/api/llm/complete", key=key, **asked) for _ in "12")
        assert offer.calls == 1
    assert (one.json["cached"], two.json["cached"]) == (False, True)
    assert two.json["cost"] == 0
    assert two.json["content"] == one.json["content"]


def test_hit__embeddings__is_the_same(world: World) -> None:
    with offered(world, kind="embedding") as offer:
        asked = {"model": offer.model, "input": [offer.text, "b"]}
        one, two = (world.post("/v1/embeddings", **asked) for _ in range(2))
        assert offer.calls == 1
    assert (how(one), how(two)) == ("miss", "hit")
    assert one.body == two.body


def test_hit__price_changed_since__costs_nothing_and_saved_what_it_cost(
    world: World,
) -> None:
    with offered(world) as offer:
        one = offer.ask()
        provider = one.headers["x-valuecanvas-provider"]
        world.price(
            provider, offer.upstream_model, usd="50", effective_from=timezone.now()
        )
        check_hit(world, one, offer.ask())
        assert offer.calls == 1


def test_hit__quota_used_up__is_refused_all_the_same(world: World) -> None:
    customer, key = world.new_customer(daily_requests=2)
    with offered(world) as offer:
        assert [how(offer.ask(key=key)) for _ in range(2)] == ["miss", "hit"]
        refused = offer.ask(key=key)
    assert (refused.status, refused.error["code"]) == (429, "insufficient_quota")
    assert world.counter(customer)[0] == 2


def test_hit__budget_used_up__is_served(world: World) -> None:
    with offered(world) as offer:
        one = offer.ask()
        world.budget(limit="0.000001")
        check_hit(world, one, offer.ask())
        refused = offer.ask(temperature=0.5)
    assert refused.error["code"] == "budget_exceeded"


CONTROLS = [
    ({"cache_control_header": "no-store"}, "bypass", "miss"),
    ({"cache_control_header": "no-cache"}, "miss", "hit"),
    ({"cache_control_header": "max-age=0"}, "miss", "hit"),
    ({"cache_control_header": "max-age=60"}, "miss", "hit"),
    ({"x_valuecanvas_cache_ttl_header": "60"}, "miss", "hit"),
]


@pytest.mark.parametrize(("headers", "first", "then"), CONTROLS)
def test_control__on_the_first_request__decides_whether_it_is_kept(
    world: World, headers: dict[str, str], first: str, then: str
) -> None:
    with offered(world) as offer:
        assert how(offer.ask(**headers)) == first
        assert how(offer.ask()) == then


@pytest.mark.parametrize(
    ("control", "found"),
    [("no-store", "bypass"), ("no-cache", "miss"), ("max-age=60", "hit")],
)
def test_control__on_a_later_request__decides_whether_it_is_read(
    world: World, control: str, found: str
) -> None:
    with offered(world) as offer:
        assert how(offer.ask()) == "miss"
        assert how(offer.ask(cache_control_header=control)) == found
        assert offer.calls == (1 if found == "hit" else 2)


def test_ttl__over__is_a_miss(world: World) -> None:
    with offered(world) as offer:
        offer.ask(x_valuecanvas_cache_ttl_header="1")
        while how(offer.ask()) == "hit":
            pass
        # At most 10% longer than asked for.
        assert offer.calls == 2


def test_ttl__no_number__is_400_by_name(world: World) -> None:
    with offered(world) as offer:
        answer = offer.ask(x_valuecanvas_cache_ttl_header="soon")
    assert answer.status == 400
    assert answer.error["param"] == "x-valuecanvas-cache-ttl"


def shares(offer: Offer, *keys: str) -> list[str]:
    """How the cache has the same request of one caller after the other."""
    return [how(offer.ask(key=key)) for key in keys]


def test_tenant__two_customers_of_a_team__never_share(world: World) -> None:
    team = world.db(make_team)
    ann, bob = (world.new_customer(team=team)[1] for _ in range(2))
    with offered(world) as offer:
        assert shares(offer, ann, bob, ann, bob) == ["miss", "miss", "hit", "hit"]


def test_tenant__two_keys_of_a_customer__share(world: World) -> None:
    with offered(world) as offer:
        assert shares(offer, world.key, world.new_key()) == ["miss", "hit"]


def test_tenant__model_of_the_team__is_shared_within_it(world: World) -> None:
    red, blue = world.db(make_team), world.db(make_team)
    ann, bob, eve, loner = (
        world.new_customer(team=team)[1] for team in (red, red, blue, None)
    )
    with offered(world, cache_scope="team") as offer:
        found = shares(offer, ann, bob, eve, loner, loner)
    assert found == ["miss", "hit", "miss", "miss", "hit"]


def test_tenant__model_for_everyone__is_shared_by_all(world: World) -> None:
    with offered(world, cache_scope="global") as offer:
        found = shares(offer, *(world.new_customer()[1] for _ in range(3)))
    assert found == ["miss", "hit", "hit"]


def targets(world: World, offer: Offer) -> dict[str, str]:
    return {
        "all": invalidation.EVERYTHING,
        "model": invalidation.model(offer.model),
        "customer": invalidation.customer(world.customer.pk),
    }


@pytest.mark.parametrize("what", ["all", "model", "customer"])
def test_purge__of_what_covers_it__counts_from_the_next_request_on(
    world: World, what: str
) -> None:
    with offered(world) as offer:
        for _ in range(2):
            assert shares(offer, world.key, world.key) == ["miss", "hit"]
            world.db(invalidation.purge, targets(world, offer)[what])
        assert shares(offer, world.key) == ["miss"]


def test_purge__of_others__leaves_it(world: World) -> None:
    other = world.new_customer()[0]
    with offered(world) as offer, offered(world) as another:
        offer.ask()
        world.db(invalidation.purge, invalidation.model(another.model))
        world.db(invalidation.purge, invalidation.customer(other.pk))
        assert how(offer.ask()) == "hit"


def test_model__cache_switched_off__is_passed_by(world: World) -> None:
    with offered(world) as offer:
        offer.ask()
        model = world.model(offer.model)
        model.cache_policy = "never"
        world.db(model.save)
        assert how(offer.ask()) == "bypass"
        model.cache_policy = "auto"
        world.db(model.save)
        assert how(offer.ask()) == "hit"


def test_answer__another_body__is_another(world: World) -> None:
    with offered(world) as offer:
        for fields in ({}, {"temperature": 0}, {"seed": 1}, {"max_tokens": 500}):
            assert how(offer.ask(**fields)) == "miss", fields
            assert how(offer.ask(**fields)) == "hit", fields
