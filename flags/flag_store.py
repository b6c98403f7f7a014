"""The process's flags for Django's own code: at the committed epoch, or the last known."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, connection, transaction

from flags import config
from flags.engine.evaluation import FlagSet, flag_set
from flags.engine.flag_facts import FlagFacts
from flags.metrics import AGE, LOADED
from valuecanvas.core.db import epoch
from valuecanvas.core.storage import disk_snapshot

log = structlog.get_logger("flags")

# The flags that a request began with stay its own.
_KEPT = "_valuecanvas_flags"
_FILE = "flags"
# The file tells when its flags were current: write it again after this, in seconds.
SAVE_EVERY_S = 300.0
# While the database is away, ask for it no oftener than this, in seconds.
PROBE_EVERY_S = 1.0
# No committed epoch: whoever reaches the database again reads everything.
NOTHING = -1


@dataclass(frozen=True, slots=True)
class _Held:
    """The flags, and when they were last known to be current, Unix time."""

    flags: FlagSet
    section: Mapping[str, FlagFacts]
    known_at: float


class FlagStore:
    """Reads the epoch at each use, and the flags when it has moved.

    Without a database it answers from memory, at a cold start from the disk snapshot,
    and with neither there are no flags: callers get their defaults.
    """

    def __init__(self) -> None:
        self._held: _Held | None = None
        self._lock = threading.Lock()
        self._away_until = 0.0
        self._saved_at = 0.0

    def for_request(self, request: Any) -> FlagSet:
        """The flags of one request: the same for all of it, by one query."""
        kept = getattr(request, _KEPT, None)
        if isinstance(kept, FlagSet):
            return kept
        flags = self.current()
        if request is not None:
            setattr(request, _KEPT, flags)
        return flags

    def current(self) -> FlagSet:
        """The flags at the committed epoch; without a database, the last known."""
        held = self._held
        if held is None or time.monotonic() >= self._away_until:
            held = self._asked()
        LOADED.set(held.known_at)
        AGE.set(max(0.0, time.time() - held.known_at))
        return held.flags

    def _asked(self) -> _Held:
        try:
            return self._refreshed()
        except DatabaseError as error:
            # Other errors are this transaction's own.
            if isinstance(error, OperationalError | InterfaceError):
                self._away_until = time.monotonic() + PROBE_EVERY_S
            log.warning("flags.database_away", error=type(error).__name__)
        if self._held is None:
            self._held = _from_disk()
        return self._held

    def _refreshed(self) -> _Held:
        held = self._held
        if held is not None and held.flags.epoch == epoch.current():
            fresh = replace(held, known_at=time.time())
        elif connection.in_atomic_block:
            # What this transaction sees may yet be rolled back: it is not kept.
            return _loaded(held)
        else:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                fresh = _loaded(held)
        with self._lock:
            self._held = fresh
            overdue = time.monotonic() - self._saved_at >= SAVE_EVERY_S
            due = overdue or held is None or fresh.section is not held.section
            if due:
                self._saved_at = time.monotonic()
        if due:
            _save(fresh)
        return fresh


def _loaded(held: _Held | None) -> _Held:
    """The flags that the open transaction sees; of `held`, what has not changed."""
    if held is None:
        return _everything()
    try:
        now, changes = epoch.changes_since(held.flags.epoch)
    except epoch.ChangesPurged:
        return _everything()
    keys = {one.key for one in changes if one.kind == config.KIND}
    if not keys:
        return replace(held, flags=replace(held.flags, epoch=now), known_at=time.time())
    kept = {key: one for key, one in held.section.items() if key not in keys}
    return _of(now, {**kept, **config.load_flags(keys)}, time.time())


def _everything() -> _Held:
    return _of(epoch.current(), config.load_flags(), time.time())


def _of(at_epoch: int, section: Mapping[str, FlagFacts], known_at: float) -> _Held:
    return _Held(flag_set(at_epoch, section), section, known_at)


def _save(held: _Held) -> None:
    sections = {config.KIND: config.dump_flags(held.section)}
    disk_snapshot.save(held.flags.epoch, sections, name=_FILE)


def _from_disk() -> _Held:
    """The newest of what this store and the gateway left; no flags if neither did."""
    found = [disk_snapshot.load(name=_FILE), disk_snapshot.load()]
    known = [one for one in found if one is not None and config.KIND in one.sections]
    for saved in sorted(known, key=lambda one: one.saved_at, reverse=True):
        try:
            section = config.restore_flags(saved.sections[config.KIND])
        except (KeyError, TypeError, ValueError) as error:
            log.warning("flags.snapshot_not_understood", error=type(error).__name__)
        else:
            return _of(saved.epoch, section, saved.saved_at)
    log.warning("flags.unknown")
    return _of(NOTHING, {}, 0.0)
