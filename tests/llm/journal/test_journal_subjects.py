"""Subjects of minute limits in the journal: whose slots a dead process may have held."""

import errno
import os
import uuid
from pathlib import Path

import pytest

from llm.journal import journal as module
from llm.journal.dead_journals import claim_dead_journals
from llm.journal.journal import Journal
from llm.journal.records import CallProgress
from llm.journal.recovery import settle_all

CUSTOMER, KEY, LONG_KEY = f"c:{uuid.uuid4()}", "k:RD7iIQKzFWHo", "k:" + "x" * 16
ALL = {CUSTOMER, KEY, LONG_KEY}


def subjects(folder: Path) -> set[str]:
    with claim_dead_journals(folder) as [dead]:
        return set(dead.subjects)


def left_by(folder: Path, *names: str) -> Journal:
    """A process that counted these and died with a request open."""
    journal = Journal(folder)
    journal.record(uuid.uuid4(), 0, 0)
    for name in names:
        journal.record_subject(name)
    return journal


def test_count__of_each_kind__is_found_beside_the_requests(tmp_path: Path) -> None:
    journal, request = Journal(tmp_path), uuid.uuid4()
    for name in ALL:
        journal.record_subject(name)
    journal.record(request, 126, 3)
    journal.close()
    with claim_dead_journals(tmp_path) as [dead]:
        assert dead.subjects == ALL
        assert dead.progress == {request: CallProgress(126, 3)}


def test_count__again_and_again__is_written_once(tmp_path: Path) -> None:
    journal = left_by(tmp_path, *ALL)
    [file] = tmp_path.iterdir()
    size = file.stat().st_size
    for name in ALL:
        journal.record_subject(name)
    assert file.stat().st_size == size
    journal.close()


def test_count__before_the_file_is_begun_anew__is_in_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    journal = left_by(tmp_path, *ALL)
    for _ in range(20):
        journal.record(uuid.uuid4(), 0, 0)
    journal.close()
    assert subjects(tmp_path) == ALL


def test_count__disk_full__raises_nothing_and_is_noted_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    journal = left_by(tmp_path, KEY)

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        journal.record_subject(CUSTOMER)
        journal.record_subject(LONG_KEY)
    assert journal.is_ready()
    journal.close()
    assert subjects(tmp_path) == ALL


def test_count__a_name_that_fits_into_no_record__is_left_to_its_lease(
    tmp_path: Path,
) -> None:
    left_by(tmp_path, "k:" + "x" * 17, "x:y", KEY).close()
    assert subjects(tmp_path) == {KEY}


@pytest.mark.django_db
def test_settle_all__nothing_was_admitted__tells_whose_slots_to_free(
    tmp_path: Path,
) -> None:
    left_by(tmp_path, *ALL).close()
    [left] = settle_all(tmp_path)
    assert (left.ended, left.subjects) == (0, ALL)
