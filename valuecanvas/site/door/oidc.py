"""Single sign-on: whom the identity provider vouches for, and with which groups."""

from typing import Any

import structlog
from allauth.socialaccount.providers.base import AuthProcess
from django.conf import settings
from django.contrib.auth.models import Group, User

log = structlog.get_logger("login")


def _claims(sociallogin: Any) -> dict[str, Any]:
    """The claims about the person; those of the ID token count before userinfo."""
    found = sociallogin.account.extra_data
    return {**(found.get("userinfo") or {}), **(found.get("id_token") or {})}


def find_fault(sociallogin: Any) -> str:
    """Why what the provider sent cannot be used; '' if it can."""
    found = sociallogin.account.extra_data
    token, info = found.get("id_token") or {}, found.get("userinfo") or {}
    right = (
        str(token.get("iss", "")).rstrip("/") == settings.OIDC_ISSUER
        and token.get("sub")
        and token["sub"] == info.get("sub", token["sub"]) == sociallogin.account.uid
        # Nobody connects accounts by hand: a link could do that for them.
        and sociallogin.state.get("process") == AuthProcess.LOGIN
    )
    if right:
        return ""
    log.warning("login.oidc_refused")
    return f"The answer of {settings.OIDC_NAME} does not fit its settings here."


def find_staff(sociallogin: Any) -> User | None:
    """The one staff account with the verified e-mail address, if any."""
    emails = [one.email for one in sociallogin.email_addresses if one.verified]
    if not emails:
        return None
    people = User.objects.filter(
        email__iexact=emails[0], is_staff=True, is_active=True
    )[:2]
    return people[0] if len(people) == 1 else None


def is_mfa_proved(sociallogin: Any) -> bool:
    """Whether the provider asked for a factor that counts here."""
    claims = _claims(sociallogin)
    proved = {*_values(claims.get("amr")), *_values(claims.get("acr"))}
    return not proved.isdisjoint(settings.OIDC_MFA_VALUES)


def update_groups(sociallogin: Any) -> None:
    """Give the account those groups of OIDC_GROUPS that the claim names, and no others.

    Groups that OIDC_GROUPS does not name are left alone.
    """
    if not settings.OIDC_GROUPS:
        return
    named = _values(_claims(sociallogin).get(settings.OIDC_GROUPS_CLAIM))
    wanted = {ours for theirs, ours in settings.OIDC_GROUPS.items() if theirs in named}
    user = sociallogin.user
    mapped = Group.objects.filter(name__in=settings.OIDC_GROUPS.values())
    user.groups.remove(*mapped.exclude(name__in=wanted))
    user.groups.add(*mapped.filter(name__in=wanted))


def _values(claim: Any) -> list[str]:
    """A claim that is a text or a list of texts."""
    found = claim if isinstance(claim, list) else [claim]
    return [one for one in found if isinstance(one, str)]
