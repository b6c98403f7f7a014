"""Minute limits in the admin: on tiers, customers and keys."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from billing.minute_limits import MinuteLimits
from billing.models import ApiKey, Customer, Tier
from tests.fixtures_billing import make_api_key, make_customer, make_tier

LIMITS = {
    "requests_per_minute": "7",
    "tokens_per_minute": "800",
    "concurrent_requests": "",
}
SAVED = MinuteLimits(7, 800, None)


def change(kind: str, pk: Any) -> str:
    return reverse(f"admin:billing_{kind}_change", args=[pk])


@pytest.mark.parametrize(
    ("kind", "empty"),
    [
        ("tier", "no limit"),
        ("customer", "the tier's"),
        ("apikey", "no limit of its own"),
    ],
)
def test_page__of_each_kind__says_what_an_empty_limit_means(
    boss: Client, kind: str, empty: str
) -> None:
    key, _ = make_api_key()
    rows = {"tier": key.customer.tier, "customer": key.customer, "apikey": key}
    page = boss.get(change(kind, rows[kind].pk)).content.decode()
    assert "Minute limits" in page
    assert empty in page.replace("&#x27;", "'")


def test_tier__limits_given__are_saved(boss: Client) -> None:
    tier = make_tier()
    form = {"name": "T", "daily_requests": 5, "max_output_tokens": 9, **LIMITS}
    assert boss.post(change("tier", tier.pk), form).status_code == 302
    assert Tier.objects.get(pk=tier.pk).minute_limits == SAVED


def test_customer__limits_given__are_saved(boss: Client) -> None:
    customer = make_customer()
    form = {"tier": customer.tier_id, **LIMITS}
    assert boss.post(change("customer", customer.pk), form).status_code == 302
    assert Customer.objects.get(pk=customer.pk).minute_limits == SAVED


def test_customer__added_with_limits__has_them(boss: Client) -> None:
    form = {"user_id": "u", "team": "", "tier": make_tier().pk, **LIMITS}
    assert boss.post("/admin/billing/customer/add/", form).status_code == 302
    assert Customer.objects.get(user_id="u").minute_limits == SAVED


def test_key__issued_with_limits__has_them(boss: Client) -> None:
    form = {
        "name": "shop",
        "customer": str(make_customer().pk),
        "scopes": ["llm"],
        "cache_policy": "auto",
        "allowed_models": "",
        "expires_at_0": "",
        "expires_at_1": "",
        **LIMITS,
    }
    assert boss.post("/admin/billing/apikey/add/", form).status_code == 302
    assert ApiKey.objects.get().minute_limits == SAVED


def test_limit__of_zero__is_refused(boss: Client) -> None:
    customer = make_customer()
    form = {"tier": customer.tier_id, **LIMITS, "requests_per_minute": "0"}
    answer = boss.post(change("customer", customer.pk), form)
    assert answer.status_code == 200
    assert "greater than or equal to 1" in answer.content.decode()
