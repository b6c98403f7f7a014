"""Billing's rows: what they refuse, and how they read."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils import timezone

from billing.models import (
    ApiKey,
    Budget,
    Counter,
    Customer,
    IdempotencyKey,
    LedgerCheck,
    Reservation,
    Usage,
)
from tests.fixtures_billing import (
    make_api_key,
    make_budget,
    make_customer,
    make_price,
    make_team,
    make_tier,
)
from valuecanvas.core.ids import uuid7

pytestmark = pytest.mark.django_db


def make_row(scope: str, **fields: Any) -> Budget:
    return Budget(scope=scope, period="day", limit_usd=Decimal(1), **fields)


def test_budget__whom_it_limits__is_named_for_people_and_counters() -> None:
    team, customer = make_team("blue", name="Blue"), make_customer("ann")
    key, _ = make_api_key(customer, name="laptop")
    named = [make_budget(target) for target in (None, team, customer, key)]
    assert [row.target for row in named] == ["Everyone", "Blue", "ann", str(key)]
    assert [row.scope_id for row in named] == ["", "blue", str(customer.pk), key.prefix]
    assert str(make_budget(team, limit="2.50", period="month")) == "Blue $2.5 / month"


def test_budget__twice_for_a_scope_and_period__is_refused() -> None:
    make_budget()
    with pytest.raises(IntegrityError):
        make_budget()


def test_budget_clean__nobody_named__asks_whom() -> None:
    with pytest.raises(ValidationError) as caught:
        make_row("team").full_clean()
    assert [*caught.value.message_dict] == ["team"]


def test_budget_clean__somebody_else_named__says_so() -> None:
    customer = make_customer()
    with pytest.raises(ValidationError) as caught:
        make_row("global", customer=customer).full_clean()
    assert [*caught.value.message_dict] == ["customer"]
    make_row("customer", customer=customer).full_clean()


def test_budget_clean__negative_limit__is_refused() -> None:
    row = make_row("global")
    row.limit_usd = Decimal(-1)
    with pytest.raises(ValidationError):
        row.full_clean()


def test_customer__same_name_in_no_team__is_refused() -> None:
    customer = make_customer("ann")
    make_customer("ann", team=make_team())
    with pytest.raises(IntegrityError):
        make_customer("ann", tier=customer.tier)


def test_customer_clean__control_characters__are_refused() -> None:
    with pytest.raises(ValidationError):
        Customer(user_id="a\nb", tier=make_tier()).full_clean()


def test_price__negative__is_refused_by_the_database() -> None:
    with pytest.raises(IntegrityError):
        make_price("p", "m", usd="-1")


def test_price__cached_price_missing__is_the_input_price() -> None:
    price = make_price("p", "m", usd="3")
    assert price.cached_usd == 3
    price.cached_input_usd = Decimal("0.5")
    assert price.cached_usd == Decimal("0.5")
    assert str(price) == "p m"


def test_api_key__as_time_goes_by__is_active_expired_or_revoked() -> None:
    now = timezone.now()
    key, _ = make_api_key(expires_at=now + dt.timedelta(hours=1), name="laptop")
    assert key.state(now) == "active"
    assert key.state(now + dt.timedelta(hours=1)) == "expired"
    key.revoked_at = now
    assert key.state(now) == "revoked"
    assert str(key) == f"laptop (vc-{key.prefix}-…)"


def test_api_key__saved_from_a_copy_older_than_its_revoking__stays_revoked() -> None:
    old, _ = make_api_key()
    new = type(old).objects.get(pk=old.pk)
    new.revoked_at = timezone.now()
    new.save()
    old.name = "renamed"
    old.save()
    old.refresh_from_db()
    assert (old.name, old.revoked_at) == ("renamed", new.revoked_at)


def test_counter__below_zero__is_refused_by_the_database() -> None:
    day = dt.date(2026, 1, 1)
    with pytest.raises(IntegrityError):
        Counter.objects.create(key="g::x", scope="g", scope_id="", day=day, used=-1)


def test_names__rows_without_a_name__read_as_their_keys() -> None:
    number = uuid7()
    assert str(Counter(key="g::2026-01-01")) == "g::2026-01-01"
    assert str(Reservation(id=number)) == str(Usage(id=number)) == str(number)
    now = timezone.now().replace(year=2026, month=1, day=2, hour=3, minute=4, second=5)
    assert str(LedgerCheck(started_at=now)) == "2026-01-02 03:04:05"
    assert str(IdempotencyKey(request_id=number)) == str(number)
    assert ApiKey().scopes == ["llm"]
    assert str(make_tier("pro")) == "Pro"
    assert str(make_team("blue")) == "Blue"
    assert str(make_customer("ann")) == "ann"
