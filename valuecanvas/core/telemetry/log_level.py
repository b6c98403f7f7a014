"""Follows the log level that operators set in the admin, within seconds."""

import asyncio
from contextlib import suppress

from django.conf import settings
from django.db import Error as DatabaseError
from django.utils import timezone

from valuecanvas.core.cancel import Background
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.telemetry import logs
from valuecanvas.core.telemetry.models import LogLevel

EVERY_S = 5.0


def level_in_force() -> str:
    """The level in force: the one set last that has not expired, or LOG_LEVEL."""
    live = LogLevel.objects.filter(expires_at__gt=timezone.now()).order_by("-pk")
    found = live.values_list("level", flat=True).first()
    return found or settings.LOG_LEVEL


class LogLevelWatch(Background):
    """Sets the level of this process; one query of a tiny table every few seconds."""

    def __init__(self, db: DbThread) -> None:
        self._db = db
        self._level = settings.LOG_LEVEL

    async def _run(self) -> None:
        while True:
            # Without the database the level stays; others tell that it is down.
            with suppress(DatabaseError):
                self._follow(await self._db.run(level_in_force))
            await asyncio.sleep(EVERY_S)

    def _follow(self, level: str) -> None:
        if level != self._level:
            self._level = level
            logs.set_level(level)
            # At the level itself, so that it is always told.
            getattr(logs.log, level)("log_level.changed", level_now=level)
