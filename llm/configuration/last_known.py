"""The last known flags, prompts and keys on disk, for a start without the database.

Only for answers that cost nothing: it has no prices and no limits, so admission never
uses it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from billing.auth import offline_keys
from billing.auth.key_facts import KeyFacts
from billing.auth.offline_keys import SeenKeys
from flags import config as flags_config
from flags.engine.evaluation import FlagSet, flag_set
from llm.configuration.snapshot import Snapshot
from prompts import config as prompts_config
from prompts import config_on_disk
from prompts.rendering.render import PromptLibrary
from valuecanvas.core.storage import disk_snapshot
from valuecanvas.core.storage.disk_snapshot import Saved

log = structlog.get_logger("llm.last_known")

Change = Callable[[Mapping[str, Any]], dict[str, Any]]

# Section of the snapshot -> how it is written, and read again.
SECTIONS: dict[str, tuple[Change, Change]] = {
    "flag": (flags_config.dump_flags, flags_config.restore_flags),
    "prompt": (config_on_disk.dump_prompts, config_on_disk.restore_prompts),
    "experiment": (config_on_disk.dump_experiments, config_on_disk.restore_experiments),
}
# In a separate file: keys are few, and change at other times.
KEYS = "keys"
# Errors of a file from another release, or of a damaged one.
NOT_UNDERSTOOD = (AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class LastKnown:
    """The part of a `Snapshot` for free reads. `saved_at` is in Unix time."""

    epoch: int
    saved_at: float
    prompt_library: PromptLibrary
    flags: FlagSet
    keys: SeenKeys


def save(snapshot: Snapshot) -> bool:
    """Write what `load` reads, except for the keys; whether it worked."""
    sections = {
        kind: dump(snapshot.sections[kind]) for kind, (dump, _) in SECTIONS.items()
    }
    return disk_snapshot.save(snapshot.epoch, sections)


def save_keys(
    epoch: int, found: Mapping[str, KeyFacts], prefixes: Iterable[str]
) -> bool:
    """Write the keys `found`, those that come first in `prefixes` first."""
    rows = offline_keys.dump(found, prefixes)
    return disk_snapshot.save(epoch, {KEYS: rows}, name=KEYS)


def saved_prefixes() -> list[str]:
    """The prefixes of the keys on disk."""
    return list(_rows(disk_snapshot.load(name=KEYS)))


def load() -> LastKnown | None:
    """The last saved configuration; None, with a log line, if there is no valid one."""
    saved = disk_snapshot.load()
    if saved is None:
        log.warning("last_known.missing")
        return None
    try:
        return _restored(saved)
    except NOT_UNDERSTOOD as error:
        log.warning("last_known.not_understood", error=type(error).__name__)
        return None


def _restored(saved: Saved) -> LastKnown:
    found = {
        kind: restore(saved.sections[kind]) for kind, (_, restore) in SECTIONS.items()
    }
    for flag in found["flag"].values():
        flag.compile()
    return LastKnown(
        epoch=saved.epoch,
        saved_at=saved.saved_at,
        prompt_library=PromptLibrary(
            prompts_config.prompts_by_key(found["prompt"]),
            prompts_config.experiments_by_prompt(found["experiment"]),
        ),
        flags=flag_set(saved.epoch, found["flag"]),
        keys=_keys(),
    )


def _keys() -> SeenKeys:
    saved = disk_snapshot.load(name=KEYS)
    try:
        return SeenKeys(
            offline_keys.restore(_rows(saved)), saved.saved_at if saved else 0
        )
    except NOT_UNDERSTOOD as error:
        log.warning("last_known.keys_not_understood", error=type(error).__name__)
        return SeenKeys({}, 0)


def _rows(saved: Saved | None) -> dict[str, Any]:
    found: dict[str, Any] = saved.sections.get(KEYS, {}) if saved else {}
    return found
