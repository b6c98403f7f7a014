"""The process's flags for Django code: at the committed epoch, or the last known."""

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

# Attribute of a request: its flags stay the same until it ends.
_REQUEST_FLAGS = "_valuecanvas_flags"
_FILE = "flags"
# The file records when its flags were current: rewrite it after this, in seconds.
SAVE_EVERY_S = 300.0
# While the database is down, the least time between two tries, in seconds.
PROBE_EVERY_S = 1.0
# No committed epoch: with a database again, everything is read.
NOTHING = -1


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The flags, and when they were last known to be current, Unix time."""

    flags: FlagSet
    section: Mapping[str, FlagFacts]
    known_at: float


class FlagStore:
    """Reads the epoch at each use, and the flags if it has changed.

    Without a database it uses the flags in memory, or at a cold start the disk snapshot.
    Without both there are no flags: callers get their defaults.
    """

    def __init__(self) -> None:
        self._snapshot: _Snapshot | None = None
        self._lock = threading.Lock()
        self._database_down_until = 0.0
        self._saved_at = 0.0

    def for_request(self, request: Any) -> FlagSet:
        """The flags of one request, loaded once by one query."""
        kept = getattr(request, _REQUEST_FLAGS, None)
        if isinstance(kept, FlagSet):
            return kept
        flags = self.current()
        if request is not None:
            setattr(request, _REQUEST_FLAGS, flags)
        return flags

    def current(self) -> FlagSet:
        """The flags at the committed epoch; without a database, the last known."""
        held = self._snapshot
        if held is None or time.monotonic() >= self._database_down_until:
            held = self._refresh_or_reuse()
        LOADED.set(held.known_at)
        AGE.set(max(0.0, time.time() - held.known_at))
        return held.flags

    def _refresh_or_reuse(self) -> _Snapshot:
        try:
            return self._refresh()
        except DatabaseError as error:
            # Other errors are of this transaction.
            if isinstance(error, OperationalError | InterfaceError):
                self._database_down_until = time.monotonic() + PROBE_EVERY_S
            log.warning("flags.database_away", error=type(error).__name__)
        if self._snapshot is None:
            self._snapshot = _from_disk()
        return self._snapshot

    def _refresh(self) -> _Snapshot:
        held = self._snapshot
        if held is not None and held.flags.epoch == epoch.current():
            fresh = replace(held, known_at=time.time())
        elif connection.in_atomic_block:
            # This transaction may be rolled back: its flags are not kept.
            return _load(held)
        else:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                fresh = _load(held)
        with self._lock:
            self._snapshot = fresh
            overdue = time.monotonic() - self._saved_at >= SAVE_EVERY_S
            due = overdue or held is None or fresh.section is not held.section
            if due:
                self._saved_at = time.monotonic()
        if due:
            _save(fresh)
        return fresh


def _load(held: _Snapshot | None) -> _Snapshot:
    """The flags that the open transaction sees; unchanged ones come from `held`."""
    if held is None:
        return _load_all()
    try:
        now, changes = epoch.changes_since(held.flags.epoch)
    except epoch.ChangesPurged:
        return _load_all()
    keys = {one.key for one in changes if one.kind == config.KIND}
    if not keys:
        return replace(held, flags=replace(held.flags, epoch=now), known_at=time.time())
    kept = {key: one for key, one in held.section.items() if key not in keys}
    return _make(now, {**kept, **config.load_flags(keys)}, time.time())


def _load_all() -> _Snapshot:
    return _make(epoch.current(), config.load_flags(), time.time())


def _make(
    at_epoch: int, section: Mapping[str, FlagFacts], known_at: float
) -> _Snapshot:
    return _Snapshot(flag_set(at_epoch, section), section, known_at)


def _save(held: _Snapshot) -> None:
    sections = {config.KIND: config.dump_flags(held.section)}
    disk_snapshot.save(held.flags.epoch, sections, name=_FILE)


def _from_disk() -> _Snapshot:
    """The newest disk snapshot of this store and the gateway; without one no flags."""
    found = [disk_snapshot.load(name=_FILE), disk_snapshot.load()]
    known = [one for one in found if one is not None and config.KIND in one.sections]
    for saved in sorted(known, key=lambda one: one.saved_at, reverse=True):
        try:
            section = config.restore_flags(saved.sections[config.KIND])
        except (KeyError, TypeError, ValueError) as error:
            log.warning("flags.snapshot_not_understood", error=type(error).__name__)
        else:
            return _make(saved.epoch, section, saved.saved_at)
    log.warning("flags.unknown")
    return _make(NOTHING, {}, 0.0)
