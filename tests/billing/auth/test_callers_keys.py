"""Authentication by API key: who is accepted, and the errors for others."""

import asyncio
from datetime import timedelta

import pytest
from django.utils import timezone

from billing.auth import callers as module
from billing.auth import keys
from billing.auth.callers import Callers
from billing.models import ApiKey, Customer
from tests.billing.watch import Watch
from tests.fixtures_billing import make_api_key, make_customer, make_team
from valuecanvas.core.errors import NotAuthenticated, NotPermitted

UNKNOWN = "vc-ABCDEFGHIJKL-" + "a" * 43


async def refused(callers: Callers, authorization: str | None) -> NotAuthenticated:
    with pytest.raises(NotAuthenticated) as caught:
        await callers.authenticate(authorization)
    return caught.value


async def test_authenticate__an_active_key__gives_all_facts(callers, db_thread):
    def make() -> tuple[Customer, ApiKey, str]:
        customer = make_customer("alice", team=make_team("sales"))
        end = timezone.now() + timedelta(days=1)
        return customer, *make_api_key(
            customer, scopes=["llm", "act_as"], allowed_models=["a"], expires_at=end
        )

    customer, key, text = await db_thread.run(make)
    found = await callers.authenticate(f"Bearer {text}")
    assert found.customer_id == customer.pk
    assert (found.user_id, found.tier) == ("alice", customer.tier_id)
    assert (found.team, found.key) == ("sales", key.prefix)
    assert found.scopes == {"llm", "act_as"}
    assert found.allowed_models == {"a"}
    assert found.expires_at == key.expires_at.timestamp()
    assert not found.suspended


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   "])
async def test_authenticate__scheme_in_any_letters__is_let_in(callers, api_key, scheme):
    assert (await callers.authenticate(scheme + api_key[1])).key == api_key[0].prefix


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "missing_api_key"),
        ("", "missing_api_key"),
        ("Bearer", "invalid_api_key"),
        ("Bearer ", "invalid_api_key"),
        ("Basic dXNlcjpwYXNz", "invalid_api_key"),
        (UNKNOWN, "invalid_api_key"),
        (f"Bearer {UNKNOWN}", "invalid_api_key"),
        ("Bearer vc-short", "invalid_api_key"),
        ("Bearer sk-another-vendor", "invalid_api_key"),
        ("Bearer a.b.c", "invalid_api_key"),
        ("Bearer vc-ABCDEFGHIJKL-' OR '1'='1", "invalid_api_key"),
        ("Bearer \x00", "invalid_api_key"),
    ],
)
async def test_authenticate__no_key_of_ours__is_refused(callers, authorization, code):
    assert (await refused(callers, authorization)).code == code


async def test_authenticate__right_prefix_wrong_secret__is_like_an_unknown_key(
    callers, api_key
):
    key, text = api_key
    for wrong in (f"vc-{key.prefix}-" + "a" * 43, text[:-1] + "!", text[:-1]):
        error = await refused(callers, f"Bearer {wrong}")
        assert error.message == "Incorrect API key provided."
    assert await callers.authenticate(f"Bearer {text}")


@pytest.mark.parametrize("change", ["x", "-"])
async def test_authenticate__one_character_changed_anywhere__is_refused(
    callers, api_key, change
):
    text = api_key[1]
    for at in range(len(text)):
        other = text[:at] + change + text[at + 1 :]
        if other != text:
            await refused(callers, f"Bearer {other}")


async def test_authenticate__revoked_key__says_so_only_to_its_holder(
    callers, db_thread
):
    key, text = await db_thread.run(make_api_key, revoked=True)
    assert (await refused(callers, f"Bearer {text}")).code == "api_key_revoked"
    guess = f"Bearer vc-{key.prefix}-" + "a" * 43
    assert (await refused(callers, guess)).code == "invalid_api_key"


async def test_authenticate__expires_while_cached__is_refused(
    callers, db_thread, time_machine
):
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    end = now + timedelta(minutes=1)
    _, text = await db_thread.run(make_api_key, expires_at=end)
    assert await callers.authenticate(f"Bearer {text}")
    time_machine.move_to(end)
    assert (await refused(callers, f"Bearer {text}")).code == "api_key_expired"


async def test_authenticate__customer_suspended__is_not_permitted(callers, db_thread):
    customer = await db_thread.run(make_customer, suspended=True)
    _, text = await db_thread.run(make_api_key, customer)
    with pytest.raises(NotPermitted) as caught:
        await callers.authenticate(f"Bearer {text}")
    assert caught.value.code == "customer_suspended"


async def test_authenticate__a_key_again__is_answered_from_memory(
    callers, api_key, db_thread
):
    watch = await Watch.on(db_thread, "billing_apikey")
    first = await callers.authenticate(f"Bearer {api_key[1]}")
    for _ in range(50):
        assert await callers.authenticate(f"Bearer {api_key[1]}") is first
    assert watch.count == 1


async def test_authenticate__200_at_once__look_the_key_up_once(
    callers, api_key, db_thread
):
    watch = await Watch.on(db_thread, "billing_apikey")
    header = f"Bearer {api_key[1]}"
    found = await asyncio.gather(*(callers.authenticate(header) for _ in range(200)))
    assert {one.key for one in found} == {api_key[0].prefix}
    assert watch.count == 1


async def test_authenticate__flood_of_unknown_keys__is_a_few_queries(
    callers, api_key, db_thread
):
    watch = await Watch.on(db_thread, "billing_apikey")
    flood = [f"Bearer {keys.generate()[0]}" for _ in range(1000)]
    headers = [*flood, f"Bearer {api_key[1]}"]
    found = await asyncio.gather(
        *(callers.authenticate(one) for one in headers), return_exceptions=True
    )
    assert all(isinstance(one, NotAuthenticated) for one in found[:-1])
    assert found[-1].key == api_key[0].prefix
    assert watch.count <= 3
    counted = watch.count
    for header in flood:
        await refused(callers, header)
    assert watch.count == counted


async def test_authenticate__unknown_for_a_while__is_looked_up_again(
    callers, db_thread, monkeypatch
):
    monkeypatch.setattr(module, "UNKNOWN_S", 0.0)
    watch = await Watch.on(db_thread, "billing_apikey")
    for _ in range(3):
        await refused(callers, f"Bearer {UNKNOWN}")
    assert watch.count == 3


async def test_authenticate__more_keys_than_places__forgets_the_least_used(db_thread):
    made = [(await db_thread.run(make_api_key))[1] for _ in range(3)]
    callers = Callers(db_thread, size=2)
    for text in (made[0], made[1], made[0], made[2]):
        await callers.authenticate(f"Bearer {text}")
    watch = await Watch.on(db_thread, "billing_apikey")
    await callers.authenticate(f"Bearer {made[0]}")
    assert watch.count == 0
    await callers.authenticate(f"Bearer {made[1]}")
    assert watch.count == 1


async def test_authenticate__caller_leaves_during_the_lookup__others_are_served(
    callers, api_key
):
    header = f"Bearer {api_key[1]}"
    first, second = (
        asyncio.create_task(callers.authenticate(header)) for _ in range(2)
    )
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).key == api_key[0].prefix
