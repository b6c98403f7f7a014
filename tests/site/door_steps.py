"""Steps of a log-in in tests: a second factor, and its code."""

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth
from django.contrib.auth.models import User
from django.core.cache import cache

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def add_app(user: User) -> Authenticator:
    """Give the account an authenticator app with SECRET."""
    found: Authenticator = auth.TOTP.activate(user, SECRET).instance
    return found


def add_codes(user: User) -> list[str]:
    codes: list[str] = RecoveryCodes.activate(user).get_unused_codes()
    return codes


def code(secret: str = SECRET) -> str:
    """The code of now. One that was used already is forgotten, so that it works again."""
    cache.clear()
    counter = list(auth.yield_hotp_counters_from_time())[1]
    found: str = auth.format_hotp_value(auth.hotp_value(secret, counter))
    return found


def wrong_code() -> str:
    """A code that is none of the present ones."""
    near = {
        auth.format_hotp_value(auth.hotp_value(SECRET, counter))
        for counter in auth.yield_hotp_counters_from_time()
    }
    return next(
        one for one in ("000000", "111111", "222222", "333333") if one not in near
    )
