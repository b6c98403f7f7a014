"""Customers by name: acting for another user, and users first seen."""

import asyncio

import pytest
from django.db import connection

from billing.auth import lookups
from billing.auth.callers import Callers
from billing.models import Customer, Team, Tier
from tests.billing.issuer import AUDIENCE, ISSUER, SECRET, hs256
from tests.billing.watch import Watch
from tests.fixtures_billing import make_api_key, make_customer, make_team, make_tier
from valuecanvas.core.db import epoch
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.errors import (
    InvalidRequest,
    NotAuthenticated,
    NotPermitted,
    Unavailable,
)


@pytest.fixture
def free(transactional_db: None) -> Tier:
    return make_tier("free")


@pytest.fixture
def team_key(free: Tier) -> str:
    """The header of a key that may act for the users of the team 'sales'."""
    owner = make_customer("owner", tier=make_tier("pro"), team=make_team("sales"))
    _, text = make_api_key(owner, scopes=["llm", "act_as"], allowed_models=["m"])
    return f"Bearer {text}"


@pytest.fixture
def project(settings) -> None:
    settings.JWT_SECRET = SECRET
    settings.JWT_ISSUER = ISSUER
    settings.JWT_AUDIENCE = AUDIENCE


async def test_act_for__a_user_first_seen__is_created_in_the_default_tier(
    callers, db_thread, team_key
):
    principal = await callers.authenticate(team_key)
    before = await db_thread.run(epoch.current)
    found = await callers.act_for(principal, "alice")
    row = await db_thread.run(Customer.objects.get, user_id="alice")
    assert (found.customer_id, found.user_id) == (row.pk, "alice")
    assert (row.team_id, row.tier_id, row.suspended) == ("sales", "free", False)
    assert (found.team, found.tier, found.key) == ("sales", "free", principal.key)
    assert (found.scopes, found.allowed_models) == (principal.scopes, {"m"})
    assert await db_thread.run(epoch.current) == before


async def test_act_for__oneself__needs_no_right(callers, api_key):
    principal = await callers.authenticate(f"Bearer {api_key[1]}")
    assert await callers.act_for(principal, principal.user_id) is principal


async def test_act_for__without_the_scope__is_not_permitted(callers, api_key):
    principal = await callers.authenticate(f"Bearer {api_key[1]}")
    with pytest.raises(NotPermitted) as caught:
        await callers.act_for(principal, "alice")
    assert caught.value.param == "user"


async def test_act_for__same_name_in_two_teams__are_two_customers(
    callers, db_thread, team_key
):
    alone = await db_thread.run(make_customer, "alice")
    principal = await callers.authenticate(team_key)
    found = await callers.act_for(principal, "alice")
    assert found.customer_id != alone.pk
    assert (await callers.load_user("alice")).customer_id == alone.pk


async def test_act_for__a_suspended_user__is_not_permitted(
    callers, db_thread, team_key
):
    team = await db_thread.run(Team.objects.get, pk="sales")
    await db_thread.run(make_customer, "alice", team=team, suspended=True)
    principal = await callers.authenticate(team_key)
    with pytest.raises(NotPermitted) as caught:
        await callers.act_for(principal, "alice")
    assert caught.value.code == "customer_suspended"


async def test_act_for__a_user_with_a_key__only_within_a_team(
    callers, db_thread, free, team_key
):
    _, alone = await db_thread.run(make_api_key, scopes=["llm", "act_as"])
    lonely = await callers.authenticate(f"Bearer {alone}")
    holder, _ = await db_thread.run(make_api_key)
    theirs = await db_thread.run(lambda: holder.customer.user_id)
    with pytest.raises(NotPermitted) as caught:
        await callers.act_for(lonely, theirs)
    assert (caught.value.param, caught.value.code) == ("user", "user_has_key")
    assert (await callers.act_for(lonely, "nobody-yet")).tier == "free"
    team = await db_thread.run(Team.objects.get, pk="sales")
    member = await db_thread.run(make_customer, "bea", team=team)
    await db_thread.run(make_api_key, member)
    principal = await callers.authenticate(team_key)
    assert (await callers.act_for(principal, "bea")).customer_id == member.pk


@pytest.mark.parametrize(
    "user_id",
    ["", "x" * 201, "a\nb", "a\n", "a\x00", "a\x7f", "a\x85", "a\u2028", "\ud800", 7],
)
async def test_act_for__an_unusable_name__is_an_invalid_request(
    callers, team_key, user_id
):
    principal = await callers.authenticate(team_key)
    with pytest.raises(InvalidRequest) as caught:
        await callers.act_for(principal, user_id)
    assert caught.value.param == "user"


@pytest.mark.parametrize(
    "user_id",
    ["x", "x" * 200, "a b", "ä@例え.jp", "'; DROP TABLE billing_customer; --"],
)
async def test_act_for__any_printable_name__is_kept_as_it_is(
    callers, db_thread, team_key, user_id
):
    principal = await callers.authenticate(team_key)
    assert (await callers.act_for(principal, user_id)).user_id == user_id
    assert await db_thread.run(Customer.objects.filter(user_id=user_id).exists)


async def test_by_user__the_same_new_users_in_two_processes__are_created_once(
    callers, free, transactional_db
):
    names = [f"user-{number}" for number in range(60)]
    second = DbThread()
    twin = Callers(second)
    try:
        here, there = await asyncio.gather(
            asyncio.gather(*(callers.load_user(name) for name in names)),
            asyncio.gather(*(twin.load_user(name) for name in reversed(names))),
        )
        count = await second.run(Customer.objects.count)
    finally:
        second.close()
    assert [one.customer_id for one in here] == [
        one.customer_id for one in reversed(there)
    ]
    assert count == len(names)


async def test_by_user__again__is_answered_from_memory(callers, db_thread, free):
    await callers.load_user("alice")
    watch = await Watch.on(db_thread, "billing_")
    for _ in range(20):
        await callers.load_user("alice")
    assert watch.count == 0


async def test_by_user__no_default_tier__is_unavailable_and_says_why(callers):
    with pytest.raises(Unavailable, match="tier"):
        await callers.load_user("alice")


async def test_by_user__team_has_gone__is_unavailable_for_it_alone(callers, free):
    found = await asyncio.gather(
        callers.load_user("alice", team="gone"),
        callers.load_user("bob"),
        return_exceptions=True,
    )
    assert isinstance(found[0], Unavailable)
    assert found[1].user_id == "bob"


async def test_authenticate__a_token__is_its_user_without_a_team(
    project, db_thread, free
):
    callers = Callers(db_thread)
    found = await callers.authenticate(f"Bearer {hs256(sub='jwt-user')}")
    assert (found.user_id, found.team, found.key) == ("jwt-user", "", "")
    assert (found.tier, found.scopes) == ("free", {"llm", "flags:evaluate"})
    assert found.expires_at is not None


async def test_authenticate__a_token_that_claims_a_tier__gets_ours(
    project, db_thread, free
):
    token = hs256(tier="enterprise", app_metadata={"tier": "enterprise"})
    found = await Callers(db_thread).authenticate(f"Bearer {token}")
    assert found.tier == "free"


async def test_authenticate__a_token_for_an_unusable_user__is_refused(
    project, db_thread, free
):
    with pytest.raises(NotAuthenticated) as caught:
        await Callers(db_thread).authenticate(f"Bearer {hs256(sub='')}")
    assert caught.value.code == "invalid_token"


async def test_authenticate__database_away__is_unavailable_and_recovers(
    callers, db_thread, api_key
):
    header = f"Bearer {api_key[1]}"
    cut = []

    def cut_once(execute, sql, params, many, context):
        if "billing_apikey" in sql and not cut:
            cut.append(connection.connection.info.backend_pid)
            rival = connection.copy()
            with rival.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s, 5000)", cut)
            rival.close()
        return execute(sql, params, many, context)

    await db_thread.run(lambda: connection.execute_wrappers.append(cut_once))
    with pytest.raises(Unavailable) as caught:
        await callers.authenticate(header)
    assert caught.value.headers == {"Retry-After": "1"}
    assert await callers.authenticate(header)


async def test_authenticate__too_many_wait__is_unavailable(
    callers, api_key, monkeypatch
):
    monkeypatch.setattr(lookups, "WAITING_MAX", 1)
    header = f"Bearer {api_key[1]}"
    found = await asyncio.gather(
        callers.authenticate(header), callers.load_user("a"), callers.load_user("b"),
        return_exceptions=True,
    )  # fmt: skip
    assert found[0].key == api_key[0].prefix
    assert isinstance(found[2], Unavailable)


async def test_authenticate__database_too_slow__is_unavailable(
    callers, db_thread, api_key, monkeypatch
):
    monkeypatch.setattr(lookups, "WAIT_S", 0.05)
    watch = await Watch.on(db_thread, "billing_apikey")
    held = watch.hold()
    request = asyncio.create_task(callers.authenticate(f"Bearer {api_key[1]}"))
    await asyncio.to_thread(held.wait)
    with pytest.raises(Unavailable):
        await request
    watch.release()
