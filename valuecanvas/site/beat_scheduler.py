"""The beat's schedule, read from the database, which may be away for a while."""

import datetime as dt
from typing import Any

import structlog
from django.db import Error as DatabaseError
from django_celery_beat.schedulers import DatabaseScheduler

log = structlog.get_logger("core.beat")

# Seconds until it tries again.
AGAIN_S = 1.0


class BeatScheduler(DatabaseScheduler):  # type: ignore[misc]  # the library has no types
    """The library's, which would end the beat, in a worker without a word, by some errors.

    Meanwhile the entries that it last read stay in force.
    """

    def tick(self, *args: Any, **kwargs: Any) -> float:
        try:
            return float(super().tick(*args, **kwargs))
        except DatabaseError as error:
            log.warning("beat.database", error=type(error).__name__)
            return AGAIN_S

    def all_as_schedule(self) -> dict[str, Any]:
        try:
            return dict(super().all_as_schedule())
        except DatabaseError as error:
            log.warning("beat.database", error=type(error).__name__)
            # Else it took the read for done, and the next one came minutes later.
            self._last_full_sync = dt.datetime.min  # noqa: DTZ901 - the library's has no zone
            return self._schedule or {}
