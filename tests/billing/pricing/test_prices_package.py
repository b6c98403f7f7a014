"""Prices from the genai-prices package, beside those of operators."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.utils import timezone

from billing.models import Price
from billing.pricing import prices
from billing.pricing.prices import PackagePrice, package_price
from tests.fixtures_billing import make_model, make_price, make_provider, make_route

LLAMA = "meta-llama/Llama-3-70b-chat-hf"
PAIRS = [
    ("together", "together", LLAMA),
    ("openai", "openai", "gpt-4o-mini"),
    ("openai", "openai", "gpt-4o-mini"),
    ("openai", "openai", "a model that nobody knows"),
    ("mine", "a provider that nobody knows", "gpt-4o-mini"),
]

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("together", LLAMA, ("0.9", None, "0.9")),
        ("openai", "gpt-4o-mini", ("0.15", "0.075", "0.6")),
        ("openai", "gpt-4o-mini-2024-07-18", ("0.15", "0.075", "0.6")),
        ("openai", "text-embedding-3-small", ("0.02", None, "0")),
    ],
)
def test_package_price__a_known_model__is_in_usd_per_million(provider, model, expected):
    into, cached, out = expected
    assert package_price(provider, model) == PackagePrice(
        Decimal(into), Decimal(cached) if cached else None, Decimal(out)
    )


def test_package_price__with_a_cache__has_both_of_its_rates():
    found = package_price("anthropic", "claude-sonnet-4-5")
    assert found == PackagePrice(
        Decimal(3), Decimal("0.3"), Decimal(15), cache_write_usd=Decimal("3.75")
    )


def test_refresh_prices__row_from_before_cache_writes_had_a_price__gets_a_new_one():
    pair = ("anthropic", "anthropic", "claude-sonnet-4-5")
    prices.seed_prices([pair])
    row = Price.objects.get()
    assert row.cache_write_usd == Decimal("3.75")
    assert prices.refresh_prices([pair]) == 0
    Price.objects.update(cache_write_usd=None)
    assert prices.refresh_prices([pair]) == 1


def test_package_price__larger_for_long_prompts__is_the_base_price():
    assert package_price("openai", "gpt-5.5") == PackagePrice(
        Decimal(5), Decimal("0.5"), Decimal(30)
    )


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "no such model"),
        ("nobody", "gpt-4o"),
        ("openai", LLAMA),
        ("openai", "whisper-1"),  # by the hour
        ("openai", ""),
    ],
)
def test_package_price__not_known_by_tokens__is_none(provider, model):
    assert package_price(provider, model) is None


def test_seed_prices__empty_table__adds_what_the_package_knows():
    assert prices.seed_prices(PAIRS) == 2
    llama = Price.objects.get(provider="together", upstream_model=LLAMA)
    assert (llama.input_usd, llama.output_usd) == (Decimal("0.9"), Decimal("0.9"))
    assert llama.source == Price.Source.PACKAGE
    assert llama.effective_from <= timezone.now()


def test_seed_prices__again__adds_nothing():
    prices.seed_prices(PAIRS)
    assert prices.seed_prices(PAIRS) == 0


@pytest.mark.parametrize("days", [-1, 1])
def test_seed_prices__an_operators_price_now_or_later__is_left_alone(days):
    make_price(
        *("openai", "gpt-4o-mini"),
        effective_from=timezone.now() + timedelta(days=days),
    )
    assert prices.seed_prices(PAIRS) == 1
    assert Price.objects.filter(provider="openai").count() == 1


def test_refresh_prices__nothing_changed__adds_nothing():
    prices.seed_prices(PAIRS)
    assert prices.refresh_prices(PAIRS) == 0


def test_refresh_prices__a_package_price_changed__adds_a_dated_row():
    old = make_price("openai", "gpt-4o-mini", usd="9", source=Price.Source.PACKAGE)
    assert prices.refresh_prices(PAIRS) == 2
    first, second = Price.objects.filter(provider="openai").order_by("effective_from")
    assert (first, first.input_usd) == (old, 9)
    assert second.input_usd == Decimal("0.15")
    assert prices.refresh_prices(PAIRS) == 0


def test_refresh_prices__an_operators_price_in_force__is_left_alone():
    make_price("openai", "gpt-4o-mini", usd="9", source=Price.Source.PACKAGE)
    make_price("openai", "gpt-4o-mini", usd="7", effective_from=timezone.now())
    assert prices.refresh_prices(PAIRS) == 1
    assert Price.objects.filter(provider="openai").count() == 2


def test_import_prices__routes_of_several_providers__adds_what_is_known():
    together = make_provider("mine", kind="together")
    groq = make_provider("groq", kind="compatible")
    other = make_provider("my-own", kind="compatible")
    model = make_model("any")
    for provider, upstream in (
        (together, LLAMA),
        (groq, "llama-3.3-70b-versatile"),
        (other, "gpt-4o"),
    ):
        make_route(model, provider, upstream_model=upstream)
    assert call_command("import_prices") == "Added 2 prices."
    assert set(Price.objects.values_list("provider", flat=True)) == {"mine", "groq"}
    assert call_command("import_prices") == "Added 0 prices."
