"""Windows of time in which production allows experiments, and whether one is open."""

import datetime as dt
import json
from pathlib import Path

from django.conf import settings
from django.core import signing
from django.utils import timezone

from llm.models import ChaosWindow

LONGEST = dt.timedelta(hours=24)
SALT = "llm.chaos.window"


class WindowRefused(ValueError):
    """The window cannot be opened so."""


def open_window(*, hours: float, reason: str, opened_by: str) -> ChaosWindow:
    """Open a window from now on. Raises WindowRefused."""
    length = dt.timedelta(hours=hours)
    if not dt.timedelta() < length <= LONGEST:
        raise WindowRefused("hours: a number above 0, and at most 24.")
    if not reason.strip():
        raise WindowRefused("reason: say why, as 'Game day of the payments team'.")
    now = timezone.now()
    window = ChaosWindow(
        begins_at=now,
        ends_at=now + length,
        reason=reason.strip()[:500],
        opened_by=opened_by,
    )
    window.signature = sign(window)
    window.save()
    return window


def close_windows(by: str) -> int:
    """End every open window now. Returns how many were open."""
    found = _open()
    for window in found:
        window.ends_at = timezone.now()
        window.reason = f"{window.reason} (closed by {by})"[:500]
        window.signature = sign(window)
        window.save()
    return len(found)


def open_until() -> dt.datetime | None:
    """When the last of the open windows ends; None: none is open."""
    return max((one.ends_at for one in _open()), default=None)


def is_open() -> bool:
    """Whether a window is open whose signature is right."""
    return bool(_open())


def why_forbidden() -> str:
    """Why no fault may be injected now, with the remedy; '': they may."""
    if not settings.CHAOS_ENABLED:
        return "Chaos is off: set CHAOS_ENABLED=true and start the processes again."
    if Path(settings.CHAOS_STOP_FILE).exists():
        return f"The stop file {settings.CHAOS_STOP_FILE} exists: remove it first."
    if settings.PRODUCTION and not is_open():
        return (
            "Production allows experiments in a window only: open one with "
            "`manage.py chaos open --hours 2 --reason '...'`."
        )
    return ""


def _open() -> list[ChaosWindow]:
    now = timezone.now()
    rows = ChaosWindow.objects.filter(begins_at__lte=now, ends_at__gt=now)
    return [one for one in rows if is_valid(one)]


def is_valid(window: ChaosWindow) -> bool:
    """Whether our secret key signed the window, as it is."""
    if window.ends_at - window.begins_at > LONGEST:
        return False
    signer = signing.Signer(salt=SALT)
    try:
        # In constant time, and with the keys before the present one.
        signer.unsign(f"{_text(window)}{signer.sep}{window.signature}")
    except signing.BadSignature:
        return False
    return True


def sign(window: ChaosWindow) -> str:
    """The signature of the window, as it is."""
    return signing.Signer(salt=SALT).signature(_text(window))


def _text(window: ChaosWindow) -> str:
    return json.dumps(window.facts(), sort_keys=True)
