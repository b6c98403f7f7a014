"""A rotated key: its successor has the same rights, and both overlap."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from billing.auth import keys
from billing.models import ApiKey, Budget
from tests.fixtures_billing import make_api_key, make_budget

DAY = timedelta(days=1)


def test_rotate__an_active_key__gives_one_with_the_same_rights(customer):
    old, _ = make_api_key(
        customer, name="shop", scopes=["act_as", "llm"], allowed_models=["a"]
    )
    new, text = keys.rotate(old, DAY)
    assert keys.digest(text) == new.digest != old.digest
    assert (new.customer, new.name, new.scopes, new.allowed_models) == (
        customer,
        "shop",
        ["act_as", "llm"],
        ["a"],
    )
    assert (new.replaces, new.expires_at) == (old, None)


def test_rotate__an_active_key__ends_it_after_the_overlap(api_key):
    old, _ = api_key
    before = timezone.now()
    keys.rotate(old, DAY)
    kept = ApiKey.objects.get(pk=old.pk).expires_at
    assert before + DAY <= kept <= timezone.now() + DAY
    assert old.expires_at == kept


def test_rotate__no_overlap__ends_it_at_once(api_key):
    old, _ = api_key
    keys.rotate(old, timedelta(0))
    assert old.state(timezone.now()) == "expired"


def test_rotate__a_key_with_an_end__keeps_the_length_of_life(customer):
    end = timezone.now() + 90 * DAY
    old, _ = make_api_key(customer, expires_at=end)
    new, _ = keys.rotate(old, DAY)
    assert new.expires_at - new.created_at == pytest.approx(
        end - old.created_at, abs=timedelta(seconds=1)
    )


def test_rotate__old_key_ends_before_the_overlap__keeps_its_end(customer):
    end = timezone.now() + timedelta(hours=1)
    old, _ = make_api_key(customer, expires_at=end)
    keys.rotate(old, DAY)
    assert old.expires_at == end


def test_rotate__a_key_with_budgets__limits_its_successor_too(api_key):
    old, _ = api_key
    make_budget(old, limit="2.5", period="day")
    make_budget(old, limit="9", period="month", enabled=False)
    new, _ = keys.rotate(old, DAY)
    copied = Budget.objects.filter(api_key=new).order_by("period")
    assert [(b.scope_id, b.period, str(b.limit_usd), b.enabled) for b in copied] == [
        (new.prefix, "day", "2.500000", True),
        (new.prefix, "month", "9.000000", False),
    ]
    assert Budget.objects.filter(api_key=old).count() == 2


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"revoked": True}, "revoked"),
        ({"expires_at": timezone.now() - DAY}, "expired"),
    ],
)
def test_rotate__a_key_worth_nothing__is_refused(customer, fields, state):
    old, _ = make_api_key(customer, **fields)
    with pytest.raises(ValidationError, match=state):
        keys.rotate(old, DAY)
    assert ApiKey.objects.count() == 1


def test_rotate__negative_overlap__is_refused(api_key):
    with pytest.raises(ValidationError, match="negative"):
        keys.rotate(api_key[0], -DAY)
    assert ApiKey.objects.count() == 1
