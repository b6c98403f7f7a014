"""Retention: what is deleted, and what never is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures_backups import copy_backup
from valuecanvas.backups.repository import BackupRepository, StoredBackup
from valuecanvas.backups.retention import list_expired
from valuecanvas.backups.types import BackupSummary, Rehearsal, RehearsalStep

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def stored(days: float, kind: str) -> StoredBackup:
    """`kind`: verified, unverified, failed, damaged, unreadable, unfinished."""
    at = NOW - timedelta(days=days)
    name = f"{at:%Y%m%dT%H%M%SZ}-{kind[:6].encode().hex()[:6]}"
    if kind == "unfinished":
        return StoredBackup(name, problem="It was not finished.", unfinished=True)
    if kind == "unreadable":
        return StoredBackup(name, problem="summary.json: It was changed.")
    summary = BackupSummary(
        name, at, "age1", {}, 0, 0, 180006, "1", has_keys=True, fingerprints={}
    )
    steps = (RehearsalStep("a step", kind != "failed", "", 0.1),)
    rehearsal = None if kind == "unverified" else Rehearsal(name, at, "age1", steps)
    problem = "database.dump.age is missing." if kind == "damaged" else ""
    return StoredBackup(name, summary, rehearsal, problem)


@pytest.mark.parametrize(
    ("held", "deleted"),
    [
        # (age in days, kind), the oldest first -> which of them go.
        ([], []),
        ([(89, "verified"), (1, "verified")], []),
        ([(91, "verified"), (1, "verified")], [0]),
        # The newest verified one stays, however old it is.
        ([(500, "verified")], []),
        ([(500, "verified"), (400, "verified")], [0]),
        ([(500, "verified"), (1, "unverified")], []),
        ([(500, "verified"), (1, "failed")], []),
        ([(500, "verified"), (1, "damaged")], []),
        ([(500, "verified"), (400, "verified"), (1, "failed")], [0]),
        # While none is verified, all stay.
        ([(500, "unverified"), (1, "unverified")], []),
        ([(500, "failed"), (400, "damaged"), (1, "unverified")], []),
        # What is past its time goes in whatever state, once there is a better one.
        ([(91, "unverified"), (91, "failed"), (1, "verified")], [0, 1]),
        ([(91, "damaged"), (1, "verified")], [0]),
        # Another key may read it.
        ([(500, "unreadable"), (1, "verified")], []),
        # Perhaps it is under way.
        ([(0.9, "unfinished")], []),
        ([(1.1, "unfinished")], [0]),
        ([(1.1, "unfinished"), (0.5, "unverified")], [0]),
    ],
)
def test_expired__of_each_state__are_those(
    held: list[tuple[float, str]], deleted: list[int]
) -> None:
    entries = [stored(*one) for one in held]
    assert list_expired(entries, NOW) == [entries[place].name for place in deleted]


KINDS = ("verified", "unverified", "failed", "damaged", "unreadable", "unfinished")


@hypothesis.settings(derandomize=True, max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 1000), st.sampled_from(KINDS)),
        max_size=12,
        unique_by=lambda one: one[0],
    )
)
def test_expired__whatever_is_stored__spares_the_newest_verified(
    held: list[tuple[int, str]],
) -> None:
    entries = [stored(*one) for one in sorted(held, reverse=True)]
    expired = set(list_expired(entries, NOW))
    verified = [one.name for one in entries if one.verified]
    assert not expired & set(verified[-1:])
    usable = {one.name for one in entries if one.summary is not None}
    assert verified or not expired & usable
    young = {one.name for one in entries if one.started > NOW - timedelta(days=1)}
    assert not expired & young


@pytest.fixture
def several(stored_backup: Path) -> dict[str, Path]:
    """Folders in the storage; the old ones and the rest are past their time."""
    rest = stored_backup.parent / "20260101T000000Z-abcdef"
    rest.mkdir()
    (rest / "database.dump.age").write_bytes(b"half of it")
    foreign = stored_backup.parent / "lost+found"
    foreign.mkdir()
    (foreign / "database.dump.age").write_bytes(b"not ours")
    return {
        "older": copy_backup(stored_backup, days=200),
        "rest": rest,
        "old": copy_backup(stored_backup, days=91),
        "new": stored_backup,
        "foreign": foreign,
    }


def test_prune__dry_run__deletes_nothing(several: dict[str, Path], capsys: Any) -> None:
    call_command("prune_backups", "--dry-run")
    told = capsys.readouterr().out.splitlines()
    gone = ("rest", "older", "old")
    assert told == [*(several[one].name for one in gone), "Would delete 3 backups"]
    assert all(folder.exists() for folder in several.values())


def test_prune__past_its_time__deletes_whole_backups_of_ours_only(
    several: dict[str, Path], capsys: Any
) -> None:
    call_command("prune_backups")
    assert capsys.readouterr().out.splitlines()[-1] == "Deleted 3 backups"
    left = sorted(one.name for one in several["new"].parent.iterdir())
    assert left == [several["new"].name, "lost+found"]
    assert (several["foreign"] / "database.dump.age").exists()


def test_prune__shorter_retention__is_obeyed(
    several: dict[str, Path], settings: Any
) -> None:
    settings.BACKUP_RETENTION_DAYS = 150
    call_command("prune_backups")
    assert several["old"].exists()
    assert not several["older"].exists()


def test_delete__ended_in_the_middle__is_ended_by_the_next(
    several: dict[str, Path],
) -> None:
    # What a deletion takes first, and then this process dies.
    (several["older"] / "rehearsal.json").unlink()
    (several["old"] / "rehearsal.json").unlink()
    (several["old"] / "summary.json").unlink()
    problems = [one.problem for one in BackupRepository().entries()]
    assert problems == ["It was not finished.", "", "It was not finished.", ""]
    call_command("prune_backups")
    assert [one.name for one in BackupRepository().entries()] == [several["new"].name]
