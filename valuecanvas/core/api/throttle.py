"""Rate limit per minute of the management API, for each key or person."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from valuecanvas.core.access import address
from valuecanvas.core.errors import NotAuthenticated, TooManyRequests
from valuecanvas.core.storage.minute_counter import minutes, seconds_to_next_minute

if TYPE_CHECKING:
    # DRF's settings name this class, which is read while that is imported.
    from rest_framework.views import APIView


def _who(request: Request) -> str:
    """A key's prefix, a person's primary key, or an address."""
    user = request.user
    if prefix := getattr(user, "prefix", ""):
        return f"k:{prefix}"
    return (
        f"u:{user.pk}" if user.is_authenticated else f"a:{address.of_request(request)}"
    )


class MinuteThrottle(BaseThrottle):
    """One of DEFAULT_THROTTLE_CLASSES. Unknown callers are counted by address."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        """Raises TooManyRequests."""
        count(request)
        return True


def count(request: Request) -> None:
    """Count one more request of the caller. Raises TooManyRequests."""
    most = settings.API_REQUESTS_PER_MINUTE
    if most and minutes().count(f"api:{_who(request)}") > most:
        raise _refusal(f"More than {most} requests a minute to the management API.")


def _refusal(message: str, code: str | None = None) -> TooManyRequests:
    wait = seconds_to_next_minute()
    text, headers = f"{message} Try again in {wait} s.", {"Retry-After": str(wait)}
    return TooManyRequests(text, code=code, headers=headers)


class WrongKeyThrottle:
    """Counts wrong keys from one address in this minute.

    A wrong key that is sent repeatedly blocks only itself. Many different wrong keys are
    an attack: they block the address.
    """

    def __init__(self, request: Request | HttpRequest, prefix: str) -> None:
        self._address = f"strangers:{address.of_request(request)}"
        self._key = f"{self._address}:{prefix}"

    def refuse(self) -> None:
        """Refuse before anything is looked up. Raises TooManyRequests."""
        most = settings.AUTH_FAILURES_PER_MINUTE
        if most and max(minutes().read(self._address, self._key)) >= most:
            text = "Too many wrong API keys came from your address."
            raise _refusal(text, "too_many_failures")

    def count_failure(self, error: NotAuthenticated) -> NotAuthenticated:
        """Count a wrong key. Returns `error`."""
        if settings.AUTH_FAILURES_PER_MINUTE and minutes().count(self._key) == 1:
            minutes().count(self._address)
        return error
