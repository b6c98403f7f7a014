"""S23: which users a key with `act_as` reaches, as one table."""

from typing import Any

import pytest

from billing.auth.act_as import may_act_for_customer
from billing.auth.callers import Callers
from billing.models import Customer
from tests.billing.issuer import AUDIENCE, ISSUER, SECRET, hs256
from tests.fixtures_billing import make_api_key, make_customer, make_team, make_tier
from valuecanvas.core.errors import NotPermitted

# The key's team and scopes; whether people sign in with tokens; the refusal, if any, of
# 'ann', who has no key, and of 'bea', who has one. Both are of no team and of each team.
TABLE: list[tuple[str, list[str], bool, str, str]] = [
    ("", ["act_as"], False, "", "user_has_key"),
    ("", ["act_as"], True, "user_has_jwt", "user_has_jwt"),
    ("", ["act_as", "act_as_jwt"], True, "", "user_has_key"),
    ("", ["act_as_jwt"], True, "permission_denied", "permission_denied"),
    ("", [], True, "permission_denied", "permission_denied"),
    ("sales", ["act_as"], False, "", ""),
    ("sales", ["act_as"], True, "", ""),
    ("sales", ["act_as", "act_as_jwt"], True, "", ""),
    ("sales", [], True, "permission_denied", "permission_denied"),
]


def make_people() -> None:
    make_tier("free")
    for team in (None, make_team("sales"), make_team("support")):
        make_customer("ann", team=team)
        make_api_key(make_customer("bea", team=team))


def find(user_id: str, team: str) -> Customer:
    return Customer.objects.get(user_id=user_id, team=team or None)


@pytest.fixture
def tokens(settings: Any) -> Any:
    settings.JWT_ISSUER, settings.JWT_AUDIENCE = ISSUER, AUDIENCE
    return lambda on: setattr(settings, "JWT_SECRET", SECRET if on else "")


@pytest.mark.parametrize(("team", "scopes", "jwt", "ann", "bea"), TABLE)
async def test_act_as__by_team_and_scopes__reaches_these_users(
    callers, db_thread, tokens, transactional_db, team, scopes, jwt, ann, bea
):
    await db_thread.run(make_people)
    tokens(jwt)

    def make() -> str:
        there = find("ann", team).team
        return make_api_key(make_customer(team=there), scopes=["llm", *scopes])[1]

    principal = await callers.authenticate(f"Bearer {await db_thread.run(make)}")
    for name, refusal in (("ann", ann), ("bea", bea)):
        row = await db_thread.run(find, name, team)
        if refusal:
            with pytest.raises(NotPermitted) as caught:
                await callers.act_for(principal, name, param="x-valuecanvas-user")
            assert caught.value.code == refusal
            assert caught.value.param == "x-valuecanvas-user"
        else:
            # The one of the key's own team, never another's.
            found = await callers.act_for(principal, name)
            assert (found.customer_id, found.team) == (row.pk, team)
        if "act_as" in scopes:
            rated = await db_thread.run(may_act_for_customer, principal, row.pk)
            assert rated is not bool(refusal)
        for other in {"", "sales", "support"} - {team}:
            foreign = await db_thread.run(find, name, other)
            assert not await db_thread.run(may_act_for_customer, principal, foreign.pk)


async def test_act_as__a_refused_name__adds_no_customer(
    callers, db_thread, tokens, transactional_db
):
    await db_thread.run(make_people)
    tokens(True)
    _, text = await db_thread.run(lambda: make_api_key(scopes=["llm", "act_as"]))
    principal = await callers.authenticate(f"Bearer {text}")
    with pytest.raises(NotPermitted):
        await callers.act_for(principal, "nobody-yet")
    added = Customer.objects.filter(user_id="nobody-yet")
    assert not await db_thread.run(added.exists)


async def test_tokens__a_name_of_two_teams__is_the_user_without_one(
    db_thread, tokens, transactional_db
):
    await db_thread.run(make_people)
    tokens(True)
    found = await Callers(db_thread).authenticate(f"Bearer {hs256(sub='ann')}")
    assert found.customer_id == (await db_thread.run(find, "ann", "")).pk
    assert found.team == ""
