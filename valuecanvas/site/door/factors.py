"""Second factors of staff, and their sessions."""

from datetime import timedelta

import structlog
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from valuecanvas.core.access.recent_login import record_proof
from valuecanvas.core.audit.record import record

# In the session: whether the identity provider asked for a second factor.
PROVIDER_MFA = "provider_mfa"
# Recovery codes are no factor of their own.
FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
log = structlog.get_logger("login")


def has_factor(user: User) -> bool:
    """Whether an account has an authenticator app or a passkey."""
    found = Authenticator.objects.filter(user=user, type__in=FACTORS)
    return bool(found.exists())


def needs_factor(request: HttpRequest) -> bool:
    """Whether this session may do nothing but set up a second factor."""
    user = request.user
    if settings.ADMIN_MFA != "required" or not (
        user.is_authenticated and user.is_staff
    ):
        return False
    return not request.session.get(PROVIDER_MFA) and not has_factor(user)


def is_last_factor(authenticator: Authenticator) -> bool:
    """Whether it may not be removed: one is required, and there is no other."""
    if settings.ADMIN_MFA != "required":
        return False
    others = Authenticator.objects.filter(
        user=authenticator.user, type__in=FACTORS
    ).exclude(pk=authenticator.pk)
    return not others.exists()


def begin_session(request: HttpRequest) -> None:
    """After a log-in: the session ends when it is old, however busy it is."""
    record_proof(request)
    request.session.set_expiry(
        timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE)
    )


def end_sessions(user: User, keep: str = "") -> int:
    """Log the account out everywhere but in the session `keep`. Returns how many."""
    alive = Session.objects.filter(expire_date__gt=timezone.now())
    theirs = [
        one.session_key
        for one in alive.exclude(session_key=keep).iterator()
        if one.get_decoded().get(SESSION_KEY) == str(user.pk)
    ]
    Session.objects.filter(session_key__in=theirs).delete()
    return len(theirs)


@transaction.atomic
def reset_factors(user: User) -> int:
    """Remove all second factors, for somebody who lost them. Returns how many.

    The account is logged out: whoever found the device may be in.
    """
    count: int = Authenticator.objects.filter(user=user).delete()[0]
    end_sessions(user)
    record_event("reset", user)
    return count


def record_event(event: str, user: User) -> None:
    """Write to the log and the audit what happened to an account's second factors."""
    name = user.get_username()
    log.warning("mfa.changed", change=event, username=name)
    record(f"mfa.{event}", kind="auth.user", object_id=str(user.pk), label=name)
