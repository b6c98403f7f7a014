"""Budgets of models and tags, and the header that names tags, by the official SDK."""

from typing import Any

import openai
import pytest

from billing.models import Budget
from tests.fixtures_billing import make_api_key, unique
from tests.live.test_sdk_errors import check, create
from tests.live.world import World

pytestmark = pytest.mark.live


def ask(world: World, model: str, key: str, tags: str | None = None) -> Any:
    headers = {} if tags is None else {"x-valuecanvas-tags": tags}
    return create(world, model, key, extra_headers=headers, max_tokens=5)


@pytest.fixture
def tags() -> dict[str, str]:
    """Names of this test alone: budgets of tags outlive it in the shared database."""
    return {one: unique(one) for one in ("shop", "night", "day")}


@pytest.fixture
def key(world: World, tags: dict[str, str]) -> str:
    """A key whose requests have the tag 'shop', and may name 'night' and 'day'."""
    allowed = [tags["night"], tags["day"]]
    found = world.db(
        make_api_key, world.customer, tags=[tags["shop"]], allowed_tags=allowed
    )
    return str(found[1])


def add_budget(**fields: Any) -> Budget:
    return Budget.objects.create(limit_usd=0, period="week", **fields)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (None, ["shop"]),
        ("{night}", ["night", "shop"]),
        ("{night} ,{day},{night}", ["day", "night", "shop"]),
        ("{shop}", ["shop"]),
    ],
)
def test_tags__of_key_and_header__are_in_the_ledger(
    world: World, key: str, tags: dict[str, str], sent: str | None, kept: list[str]
) -> None:
    served = world.serve("ok")
    answer = ask(world, served.model, key, sent and sent.format(**tags))
    row = world.usage(answer._request_id)
    assert row.tags == sorted(tags[one] for one in kept)


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        ("secret", 403, "may not use the tag 'secret'"),
        ("{night},secret", 403, "'secret'"),
        ("a b", 400, "'a b' is no tag"),
        ("", 400, "'' is no tag"),
        ("{night},,{day}", 400, "'' is no tag"),
        ("x" * 61, 400, "1 to 60 characters"),
        ("x," * 501, 400, "at most 1000 bytes"),
    ],
)
def test_tags__not_allowed_or_unfit__are_refused(
    world: World, key: str, tags: dict[str, str], sent: str, status: int, words: str
) -> None:
    served = world.serve("ok")
    with pytest.raises(openai.APIStatusError) as raised:
        ask(world, served.model, key, sent.format(**tags))
    assert raised.value.status_code == status
    assert words in raised.value.message
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["param"] == "x-valuecanvas-tags"
    assert world.counter() == (0, 0, 0)


def test_budget__of_a_tag__refuses_what_has_the_tag_only(
    world: World, key: str, tags: dict[str, str]
) -> None:
    served = world.serve("ok")
    world.db(add_budget, scope="tag", tag=tags["night"])
    with pytest.raises(openai.RateLimitError) as raised:
        ask(world, served.model, key, tags["night"])
    check(raised.value, 429, "budget_exceeded")
    assert "The week budget of this tag" in raised.value.message
    assert 0 < int(raised.value.response.headers["Retry-After"]) <= 7 * 86_400
    assert ask(world, served.model, key, tags["day"]).choices
    # A soft one only alerts.
    world.db(add_budget, scope="tag", tag=tags["day"], hard=False)
    assert ask(world, served.model, key, tags["day"]).choices


def test_budget__of_a_model__refuses_that_model_only(world: World, key: str) -> None:
    one, other = world.serve("ok"), world.serve("ok")
    world.db(add_budget, scope="model", model=one.model)
    with pytest.raises(openai.RateLimitError) as raised:
        ask(world, one.model, key)
    assert "The week budget of this model" in raised.value.message
    assert ask(world, other.model, key).choices


def test_tags__too_many_with_those_of_the_key__are_refused(world: World) -> None:
    names = [unique("t") for _ in range(8)]
    _, key = world.db(
        make_api_key, world.customer, tags=["own"], allowed_tags=sorted(names)
    )
    served = world.serve("ok")
    assert ask(world, served.model, key, ",".join(names[:7])).choices
    with pytest.raises(openai.BadRequestError) as raised:
        ask(world, served.model, key, ",".join(names))
    assert "at most 8 tags" in raised.value.message
