"""Whose minute limits hold for a request: from the rows to the limiter's subjects."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from billing.auth import keys
from billing.auth.callers import Callers
from billing.config import load_tiers
from billing.minute_limits import NO_LIMITS, MinuteLimits
from billing.models import ApiKey, Tier
from llm.limits.types import Subject, subjects
from llm.setup import seed
from tests.fixtures_billing import (
    make_api_key,
    make_customer,
    make_team,
    make_tier,
)
from tests.llm.seeding import configure
from valuecanvas.core.db.db_thread import DbThread

TIER = {"requests_per_minute": 10, "tokens_per_minute": 1000, "concurrent_requests": 2}


async def asked(
    callers: Callers, db_thread: DbThread, text: str, user: str = ""
) -> tuple[Subject, ...]:
    """The subjects of a request with this key, in the name of `user` if given."""
    who = await callers.authenticate(f"Bearer {text}")
    if user:
        who = await callers.act_for(who, user)
    tiers = await db_thread.run(load_tiers)
    return subjects(who, tiers[who.tier])


async def test_subjects__nothing_set__are_none(callers, db_thread):
    _, text = await db_thread.run(make_api_key)
    assert await asked(callers, db_thread, text) == ()


async def test_subjects__tier_with_limits__is_the_customer(callers, db_thread):
    tier = await db_thread.run(lambda: make_tier(**TIER))
    customer = await db_thread.run(lambda: make_customer(tier=tier))
    _, text = await db_thread.run(make_api_key, customer)
    expected = Subject(f"c:{customer.pk}", MinuteLimits(10, 1000, 2))
    assert await asked(callers, db_thread, text) == (expected,)


async def test_subjects__customer_with_limits__has_them_before_the_tiers(
    callers, db_thread
):
    tier = await db_thread.run(lambda: make_tier(**TIER))
    customer = await db_thread.run(
        lambda: make_customer(tier=tier, tokens_per_minute=77)
    )
    _, text = await db_thread.run(make_api_key, customer)
    expected = Subject(f"c:{customer.pk}", MinuteLimits(10, 77, 2))
    assert await asked(callers, db_thread, text) == (expected,)


async def test_subjects__key_with_limits__has_them_besides(callers, db_thread):
    tier = await db_thread.run(lambda: make_tier(requests_per_minute=10))
    customer = await db_thread.run(lambda: make_customer(tier=tier))
    key, text = await db_thread.run(
        lambda: make_api_key(customer, limits=MinuteLimits(concurrent=3))
    )
    assert await asked(callers, db_thread, text) == (
        Subject(f"c:{customer.pk}", MinuteLimits(requests=10)),
        Subject(f"k:{key.pk}", MinuteLimits(concurrent=3)),
    )


async def test_subjects__acting_for_another__are_that_user_and_this_key(
    callers, db_thread
):
    team = await db_thread.run(make_team)
    owner = await db_thread.run(lambda: make_customer(team=team, requests_per_minute=1))
    other = await db_thread.run(lambda: make_customer(team=team, requests_per_minute=2))
    key, text = await db_thread.run(
        lambda: make_api_key(
            owner, scopes=["llm", "act_as"], limits=MinuteLimits(requests=3)
        )
    )
    assert await asked(callers, db_thread, text, other.user_id) == (
        Subject(f"c:{other.pk}", MinuteLimits(requests=2)),
        Subject(f"k:{key.pk}", MinuteLimits(requests=3)),
    )


async def test_subjects__a_token_or_a_job__is_the_customer_alone(callers, db_thread):
    customer = await db_thread.run(lambda: make_customer(requests_per_minute=4))
    who = await callers.load_user(customer.user_id)
    tiers = await db_thread.run(load_tiers)
    expected = Subject(f"c:{customer.pk}", MinuteLimits(requests=4))
    assert subjects(who, tiers[who.tier]) == (expected,)


async def test_subjects__customer_first_seen__has_the_default_tiers(callers, db_thread):
    await db_thread.run(lambda: make_tier("free", **TIER))
    who = await callers.load_user("somebody new")
    assert who.own_limits == NO_LIMITS
    tiers = await db_thread.run(load_tiers)
    [subject] = subjects(who, tiers[who.tier])
    assert subject.limits == MinuteLimits(10, 1000, 2)


@pytest.mark.django_db
def test_rotate__a_key_with_limits__keeps_them():
    limits = MinuteLimits(5, 500, 1)
    old, _ = make_api_key(limits=limits)
    new, _ = keys.rotate(old, timedelta(hours=1))
    assert ApiKey.objects.get(pk=new.pk).minute_limits == limits


@pytest.mark.django_db
@pytest.mark.parametrize("field", list(TIER))
@pytest.mark.parametrize("value", [0, -1, 2_000_000_000])
def test_limits__out_of_bounds__are_refused(field, value):
    tier = Tier(key="t", name="T", daily_requests=1, **{field: value})
    with pytest.raises(ValidationError) as refused:
        tier.full_clean()
    assert list(refused.value.message_dict) == [field]


@pytest.mark.django_db
def test_first_run__empty_database__gives_the_tiers_minute_limits(settings):
    configure(settings)
    seed.first_run()
    found = {key: tier.minute for key, tier in load_tiers().items()}
    assert found == {
        "free": MinuteLimits(10, 20_000, 2),
        "pro": MinuteLimits(120, 400_000, 20),
        "enterprise": MinuteLimits(3000, 10_000_000, 500),
    }
