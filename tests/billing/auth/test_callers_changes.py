"""S11: a change, once dropped, governs the very next request; a late row can't undo it."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from billing.auth import callers as module
from billing.auth import keys
from billing.auth.callers import Callers
from billing.models import ApiKey, Customer
from tests.billing.watch import Watch
from tests.fixtures_billing import make_tier
from valuecanvas.core.db import epoch
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.db.epoch import ConfigChange
from valuecanvas.core.errors import NotAuthenticated, NotPermitted


@pytest.fixture
def other(transactional_db: None) -> Iterator[DbThread]:
    """A second connection, as another process has."""
    thread = DbThread()
    yield thread
    thread.close()


@pytest.fixture
def header(api_key: tuple[ApiKey, str]) -> str:
    return f"Bearer {api_key[1]}"


async def change(other: DbThread, callers: Callers, write: Callable[[], Any]) -> None:
    """Commit a change elsewhere, then tell `callers` what the change rows say."""
    before = await other.run(epoch.current)
    await other.run(write)
    _, changes = await other.run(epoch.changes_since, before)
    assert changes
    callers.drop(changes)


async def test_drop__key_revoked__refuses_the_next_request(
    callers, other, api_key, header
):
    assert await callers.authenticate(header)
    await change(other, callers, lambda: keys.revoke(api_key[0]))
    with pytest.raises(NotAuthenticated) as caught:
        await callers.authenticate(header)
    assert caught.value.code == "api_key_revoked"


async def test_drop__customer_suspended_and_let_in_again__follows_both(
    callers, other, customer, header
):
    rows = Customer.objects.filter(pk=customer.pk)
    assert await callers.authenticate(header)
    await change(other, callers, lambda: rows.update(suspended=True))
    with pytest.raises(NotPermitted):
        await callers.authenticate(header)
    await change(other, callers, lambda: rows.update(suspended=False))
    assert await callers.authenticate(header)


async def test_drop__tier_of_a_customer_changed__is_seen_by_key_and_by_user(
    callers, other, customer, header
):
    await callers.authenticate(header)
    await callers.load_user(customer.user_id)
    tier = await other.run(make_tier)
    rows = Customer.objects.filter(pk=customer.pk)
    await change(other, callers, lambda: rows.update(tier=tier))
    assert (await callers.authenticate(header)).tier == tier.pk
    assert (await callers.load_user(customer.user_id)).tier == tier.pk


async def test_drop__a_key_created_after_it_was_refused__works_at_once(
    callers, other, customer, header, api_key
):
    key, prefix = api_key[0], api_key[0].pk
    await other.run(key.delete)
    key.pk = prefix
    with pytest.raises(NotAuthenticated):
        await callers.authenticate(header)
    await change(other, callers, lambda: key.save(force_insert=True))
    assert await callers.authenticate(header)


async def test_drop__key_deleted__refuses_the_next_request(
    callers, other, api_key, header
):
    await callers.authenticate(header)
    await change(other, callers, api_key[0].delete)
    with pytest.raises(NotAuthenticated):
        await callers.authenticate(header)


async def test_drop__something_else_changed__forgets_nobody(
    callers, db_thread, customer, header
):
    await callers.authenticate(header)
    await callers.load_user(customer.user_id)
    watch = await Watch.on(db_thread, "billing_")
    callers.drop([ConfigChange("price", "1")])
    callers.drop(
        [
            ConfigChange("tier", customer.tier_id),
            ConfigChange("team", "sales"),
            ConfigChange("route", "1"),
            ConfigChange("customer", "0199f3c2-0000-7000-8000-000000000000"),
        ]
    )
    await callers.authenticate(header)
    await callers.load_user(customer.user_id)
    callers.drop([ConfigChange("api_key", "ABCDEFGHIJKL")])
    await callers.authenticate(header)
    assert watch.count == 0


async def test_drop__anybodys_key_changed__users_are_asked_for_again(
    callers, db_thread, customer
):
    """It may be a user's first key: then others may act for it no longer."""
    await callers.load_user(customer.user_id)
    watch = await Watch.on(db_thread, "billing_")
    callers.drop([ConfigChange("api_key", "ABCDEFGHIJKL")])
    await callers.load_user(customer.user_id)
    assert watch.count == 1


async def test_clear__afterwards__everything_is_looked_up_again(
    callers, db_thread, customer, header
):
    await callers.authenticate(header)
    await callers.load_user(customer.user_id)
    watch = await Watch.on(db_thread, "FROM ")
    callers.clear()
    await callers.authenticate(header)
    await callers.load_user(customer.user_id)
    assert watch.count == 2


async def test_authenticate__revoked_while_its_row_is_read__is_refused(
    callers, other, db_thread, api_key, header
):
    watch = await Watch.on(db_thread, "billing_apikey")
    held = watch.hold()
    request = asyncio.create_task(callers.authenticate(header))
    await asyncio.to_thread(held.wait)  # the old row has been read
    await change(other, callers, lambda: keys.revoke(api_key[0]))
    watch.release()
    with pytest.raises(NotAuthenticated):
        await request
    with pytest.raises(NotAuthenticated):
        await callers.authenticate(header)


async def test_authenticate__asked_after_a_drop__does_not_share_a_query_from_before(
    callers, other, db_thread, api_key, header
):
    watch = await Watch.on(db_thread, "billing_apikey")
    held = watch.hold()
    early = asyncio.create_task(callers.authenticate(header))
    await asyncio.to_thread(held.wait)
    await change(other, callers, lambda: keys.revoke(api_key[0]))
    late = asyncio.create_task(callers.authenticate(header))
    await asyncio.sleep(0)
    watch.release()
    found = await asyncio.gather(early, late, return_exceptions=True)
    assert all(isinstance(one, NotAuthenticated) for one in found)


async def test_by_user__suspended_while_the_row_is_read__is_refused(
    callers, other, db_thread, customer
):
    watch = await Watch.on(db_thread, "billing_customer")
    held = watch.hold()
    request = asyncio.create_task(callers.load_user(customer.user_id))
    await asyncio.to_thread(held.wait)
    rows = Customer.objects.filter(pk=customer.pk)
    await change(other, callers, lambda: rows.update(suspended=True))
    watch.release()
    with pytest.raises(NotPermitted):
        await request


@pytest.mark.parametrize("kind", ["key", "user"])
async def test_refusal__without_any_drop__is_believed_for_a_moment_only(
    callers, other, db_thread, customer, header, monkeypatch, kind
):
    def ask() -> Any:
        if kind == "key":
            return callers.authenticate(header)
        return callers.load_user(customer.user_id)

    rows = Customer.objects.filter(pk=customer.pk)
    await other.run(lambda: rows.update(suspended=True))
    watch = await Watch.on(db_thread, "billing_customer")
    for _ in range(20):
        with pytest.raises(NotPermitted):
            await ask()
    assert watch.count == 1
    await other.run(lambda: rows.update(suspended=False))
    monkeypatch.setattr(module, "REFUSED_S", 0.0)
    assert await ask()
    assert watch.count == 2
