"""Billing's part of the configuration: what is read, and how it is arranged."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest

from billing import config
from billing.config import Rate, TierFacts
from billing.ledger import Limit
from billing.models import Price
from tests.fixtures_billing import (
    make_api_key,
    make_budget,
    make_customer,
    make_price,
    make_team,
    make_tier,
)

pytestmark = pytest.mark.django_db
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def make_rate(model: str, **figures: int) -> Rate:
    figures = {"input": 1, "cached": 1, "output": 1, **figures}
    return Rate("p", model, effective_from=NOON, **figures)


def test_load_tiers__all_and_some__gives_their_facts() -> None:
    pro = make_tier("pro", daily_requests=500, max_output_tokens=77)
    free = make_tier("free", daily_requests=10, upgrade_to=pro)
    assert config.load_tiers() == {
        "pro": TierFacts("pro", "Pro", 500, 77, None),
        "free": TierFacts("free", "Free", 10, 1024, "pro"),
    }
    assert [*config.load_tiers(["free", "gone"])] == [free.key]


def test_load_budgets__each_scope__names_it_as_the_counters_do() -> None:
    team, customer = make_team("blue"), make_customer()
    key, _ = make_api_key(customer)
    rows = {
        make_budget(limit="0.5"): Limit("g:", "day", 500_000),
        make_budget(team, period="month"): Limit("t:blue", "month", 1_000_000),
        make_budget(customer): Limit(f"c:{customer.id}", "day", 1_000_000),
        make_budget(key, period="total"): Limit(f"k:{key.prefix}", "total", 1_000_000),
    }
    off = make_budget(team, enabled=False)
    assert config.load_budgets() == {str(row.pk): limit for row, limit in rows.items()}
    first = next(iter(rows))
    assert [*config.load_budgets([str(first.pk), str(off.pk)])] == [str(first.pk)]


def test_limits_by_scope__two_of_one_scope__are_together() -> None:
    day, month = Limit("g:", "day", 1), Limit("g:", "month", 2)
    team = Limit("t:x", "day", 3)
    found = config.limits_by_scope({"1": day, "2": team, "3": month})
    assert found == {"g:": (day, month), "t:x": (team,)}


def test_load_prices__with_and_without_cached_price__gives_micro_dollars() -> None:
    plain = make_price("p", "a", usd="0.15", output="0.6")
    cached = make_price("p", "b", usd="1", cached_input_usd=Decimal("0.25"))
    rates = config.load_prices()
    assert rates[str(plain.pk)] == Rate(
        "p", "a", 150_000, 150_000, 600_000, plain.effective_from
    )
    assert rates[str(cached.pk)].cached == 250_000
    assert [*config.load_prices([str(cached.pk)])] == [str(cached.pk)]


def test_rates_by_model__dated_prices__are_newest_first() -> None:
    old = make_rate("a")
    new = Rate("p", "a", 2, 2, 2, NOON + dt.timedelta(days=1))
    other = make_rate("b")
    found = config.rates_by_model({"1": old, "2": other, "3": new})
    assert found == {("p", "a"): (new, old), ("p", "b"): (other,)}


@pytest.mark.parametrize(
    ("prompt", "completion", "cached", "cost"),
    [
        (0, 0, 0, 0),
        (1_000_000, 0, 0, 3),
        (0, 1_000_000, 0, 5),
        (1_000_000, 1_000_000, 1_000_000, 6),
        (500_000, 0, 0, 2),
        (499_999, 0, 0, 1),
        # Nothing but nothing is free.
        (1, 0, 0, 1),
    ],
)
def test_rate__cost__is_rounded_once_half_up(
    prompt: int, completion: int, cached: int, cost: int
) -> None:
    rate = make_rate("a", input=3, cached=1, output=5)
    assert rate.cost(prompt, completion, cached) == cost


@pytest.mark.parametrize(("write", "cost"), [(None, 3), (9, 4), (0, 2)])
def test_rate__written_to_a_cache__has_a_price_of_its_own(
    write: int | None, cost: int
) -> None:
    rate = replace(make_rate("a", input=3, cached=1), cache_write=write)
    assert rate.cost(1_000_000, 0, 250_000, 250_000) == cost


@pytest.mark.parametrize(("write", "most"), [(None, 8), (9, 14), (0, 8)])
def test_rate__most__is_at_the_dearest_of_the_input_prices(
    write: int | None, most: int
) -> None:
    rate = replace(make_rate("a", input=3, cached=1, output=5), cache_write=write)
    assert rate.most(1_000_000, 1_000_000) == most


def test_load_prices__cache_write__is_none_where_it_has_no_price() -> None:
    plain, own = make_price("p", "a"), make_price("p", "b", cache_write_usd=Decimal(2))
    rates = config.load_prices()
    assert rates[str(plain.pk)].cache_write is None
    assert rates[str(own.pk)].cache_write == 2_000_000


def test_price__cached_price_of_nothing__is_free_and_not_the_input_price() -> None:
    price = Price(input_usd=Decimal(1), cached_input_usd=Decimal(0))
    assert price.cached_usd == 0
