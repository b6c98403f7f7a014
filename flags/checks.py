"""The system check for expired flags."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db.utils import DatabaseError
from django.utils import timezone

from flags.models import Flag

_LEVELS = {"warn": Warning, "error": Error}


def check_expired_flags(
    *, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Report each flag past `expires_on`, at the level FLAGS_EXPIRED.

    Only in checks of a database: `manage.py check --database default`.
    """
    level = _LEVELS[settings.FLAGS_EXPIRED]
    return [
        level(
            f"The flag '{name}' expired on {day:%Y-%m-%d}.",
            hint="Remove the flag and the code that uses it, or set a later date.",
            id="flags.E001" if level is Error else "flags.W001",
        )
        for alias in databases or ()
        for name, day in _expired(alias)
    ]


def _expired(alias: str) -> list[tuple[str, Any]]:
    rows = Flag.objects.using(alias).filter(
        archived=False, expires_on__lt=timezone.now().date()
    )
    try:
        return list(rows.order_by("name").values_list("name", "expires_on"))
    except DatabaseError:
        return []  # `migrate` runs checks before the table exists
