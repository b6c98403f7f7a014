"""The day while a test runs. One taken at import is of yesterday after midnight."""

import datetime as dt
import time

from django.utils import timezone

# Sums leave out the last seconds, in which requests may still be written.
SETTLED = dt.timedelta(minutes=2)


def today() -> dt.date:
    """The UTC day."""
    return timezone.now().date()


def earlier_today() -> dt.datetime:
    """A time of this UTC day that is old enough for the sums. Waits for it after midnight."""
    while (at := timezone.now() - SETTLED).date() != today():
        time.sleep(1)
    return at


def wait_for_midnight() -> None:
    """A test that begins in the last seconds of a UTC day would end on the next."""
    now = timezone.now()
    if (now + dt.timedelta(seconds=10)).date() != now.date():
        time.sleep(11)
