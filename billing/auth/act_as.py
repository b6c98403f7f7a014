"""Which users a key with the scope `act_as` may act for: one rule for calls and ratings."""

import uuid
from collections.abc import Set as AbstractSet
from enum import StrEnum

from django.conf import settings

from billing.auth.principal import Principal
from billing.models import ApiKey, Customer, Scope

# The header that names the user to bill.
HEADER = "x-valuecanvas-user"


def user_to_bill(scopes: AbstractSet[str], named: str | None, field: str) -> str | None:
    """The user to bill in place of the key's own customer; None: nobody.

    `named` comes from the header or from `userId`. The body's `field` user is OpenAI's
    label for people: it is billed only where the key says so.
    """
    if named is None and field and Scope.BILL_USER.value in scopes:
        return field
    return named


class ActAsRefusal(StrEnum):
    """Why a key with `act_as` may not act for a user."""

    OTHER_TEAM = "other_team"
    USER_HAS_KEY = "user_has_key"
    USER_HAS_JWT = "user_has_jwt"


def find_refusal(
    principal: Principal, *, team: str, has_key: bool
) -> ActAsRefusal | None:
    """Why the caller may not name another user, who is of `team` ('' for none).

    A team trusts its own keys. Where there is no team, users are the caller's own names
    for people, but whoever holds an API key is a caller of ours by itself. Users of
    bearer tokens have no team either: they are reached where an operator said so.
    """
    if principal.team != team:
        return ActAsRefusal.OTHER_TEAM
    if team:
        return None
    if has_key:
        return ActAsRefusal.USER_HAS_KEY
    tokens = settings.JWT_SECRET or settings.JWT_JWKS_URL
    if tokens and Scope.ACT_AS_JWT.value not in principal.scopes:
        return ActAsRefusal.USER_HAS_JWT
    return None


def may_act_for_customer(principal: Principal, customer_id: uuid.UUID) -> bool:
    """The same for a customer, read from the database. Blocks: not for an event loop."""
    teams = Customer.objects.filter(pk=customer_id).values_list("team_id", flat=True)
    # A revoked key counts too: its data belong to its customer alone.
    has_key = ApiKey.objects.filter(customer_id=customer_id).exists()
    return any(
        find_refusal(principal, team=team or "", has_key=has_key) is None
        for team in teams
    )
