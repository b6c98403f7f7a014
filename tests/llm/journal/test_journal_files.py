"""The journal's files: complete after kill -9, never taken from the living."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm.journal import dead_journals
from llm.journal import journal as module
from llm.journal.dead_journals import (
    DeadJournal,
    claim_dead_journals,
    living_processes,
    progress_of,
)
from llm.journal.journal import Journal, JournalFull
from llm.journal.records import SUFFIX, CallProgress

RECORD = 21
# A process that keeps a journal, writes ten records and one half, and says so.
WRITER = """
import os, sys, time, uuid
from pathlib import Path
from llm.journal.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(10):
    journal.record(uuid.UUID(int=number % 5), number % 3, number)
os.write(journal._fd, b"half")
print(journal.name, flush=True)
time.sleep(600)
"""


def read_dead(folder: Path) -> list[DeadJournal]:
    with claim_dead_journals(folder) as found:
        return list(found)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


class Disk:
    """In place of os.write: takes `room` more bytes, and then is full."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._write = os.write

    def __call__(self, fd: int, data: bytes) -> int:
        if data and not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = self._write(fd, data[: self.room])
        self.room -= taken
        return taken


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Disk]:
    """Leaves the disk `room` bytes; no pause before the next try."""
    monkeypatch.setattr(module, "RETRY_S", 0.0)

    def leave(room: int) -> Disk:
        made = Disk(room)
        monkeypatch.setattr(os, "write", made)
        return made

    return leave


def test_journal__of_a_killed_process__has_the_last_of_each_record(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert read_dead(tmp_path) == []
        os.kill(process.pid, signal.SIGKILL)
    last = {uuid.UUID(int=n): CallProgress((n + 5) % 3, n + 5) for n in range(5)}
    assert read_dead(tmp_path) == [DeadJournal(name, last)]
    assert files(tmp_path) == []


def test_journal__of_a_living_process__is_never_claimed(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.record(uuid.uuid4(), 0, 0)
    before = open_files()
    assert read_dead(tmp_path) == []
    assert open_files() == before
    assert len(files(tmp_path)) == 1
    journal.close()


def test_journal__closed_with_nothing_open__leaves_nothing(tmp_path: Path) -> None:
    journal, key = Journal(tmp_path), uuid.uuid4()
    journal.record(key, 0, 0)
    journal.forget(key)
    journal.close()
    assert files(tmp_path) == []


def test_journal__closed_with_something_open__leaves_it_to_others(
    tmp_path: Path,
) -> None:
    journal, key = Journal(tmp_path), uuid.uuid4()
    journal.record(key, 1, 7)
    journal.close()
    assert read_dead(tmp_path) == [DeadJournal(journal.name, {key: CallProgress(1, 7)})]


def test_record__numbers_out_of_bounds__are_the_largest_that_fit(
    tmp_path: Path,
) -> None:
    journal, key = Journal(tmp_path), uuid.uuid4()
    journal.record(key, 300, 2**40)
    journal.close()
    (dead,) = read_dead(tmp_path)
    assert dead.progress[key] == CallProgress(126, 2**32 - 1)


def test_withdraw__after_the_attempt_failed__leaves_nothing_to_bill(
    tmp_path: Path,
) -> None:
    journal, failed, again, unsent = Journal(tmp_path), *(uuid.uuid4() for _ in "abc")
    journal.record(failed, 0, 0)
    journal.withdraw(failed)
    journal.record(again, 0, 0)
    journal.withdraw(again)
    journal.record(again, 1, 7)
    journal.withdraw(unsent)
    journal.close()
    (dead,) = read_dead(tmp_path)
    assert dead.progress == {again: CallProgress(1, 7)}


def test_journal__turned_again_and_again__loses_nothing_and_stays_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10 * RECORD)
    journal, before = Journal(tmp_path), open_files()
    keys = [uuid.uuid4() for _ in range(5)]
    for number in range(100):
        journal.record(keys[number % 5], 0, number)
        done = uuid.uuid4()
        journal.record(done, 0, 1)
        journal.forget(done)
        (name,) = files(tmp_path)
        assert (tmp_path / name).stat().st_size <= 16 * RECORD
    assert open_files() == before
    assert int(name.split(".")[1]) > 5
    journal.close()
    (dead,) = read_dead(tmp_path)
    assert {dead.progress[key].tokens for key in keys} == set(range(95, 100))


def test_turn__process_died_between_two_files__both_are_read_in_order(
    tmp_path: Path,
) -> None:
    journal, (kept, moved) = Journal(tmp_path), (uuid.uuid4(), uuid.uuid4())
    journal.record(kept, 0, 3)
    journal.record(moved, 0, 3)
    journal.close()
    (old,) = files(tmp_path)
    record = moved.bytes + bytes([1]) + (9).to_bytes(4)
    for number in (2, 10):
        name = old.replace(".0.", f".{number}.")
        (tmp_path / name).write_bytes(record[:-1] + bytes([number]))
    (dead,) = read_dead(tmp_path)
    assert dead.progress == {kept: CallProgress(0, 3), moved: CallProgress(1, 10)}
    assert files(tmp_path) == []


def test_record__disk_full__raises_and_heals_once_there_is_room(
    tmp_path: Path, disk: Callable[[int], Disk]
) -> None:
    journal, (early, late) = Journal(tmp_path), (uuid.uuid4(), uuid.uuid4())
    journal.record(early, 0, 1)
    before, full = open_files(), disk(0)
    for _ in range(5):
        with pytest.raises(JournalFull) as raised:
            journal.record(late, 0, 2)
        assert not journal.is_ready()
    assert (raised.value.status, raised.value.code) == (503, "journal_unavailable")
    assert raised.value.headers == {"Retry-After": "1"}
    assert open_files() == before
    assert len(files(tmp_path)) == 1
    full.room = 10_000
    assert journal.is_ready()
    journal.record(late, 0, 3)
    journal.close()
    (dead,) = read_dead(tmp_path)
    assert dead.progress == {early: CallProgress(0, 1), late: CallProgress(0, 3)}


@pytest.mark.parametrize("room", range(1, RECORD))
def test_record__room_for_half_of_it__what_follows_is_not_shifted(
    tmp_path: Path, disk: Callable[[int], Disk], room: int
) -> None:
    journal, (early, late) = Journal(tmp_path), (uuid.uuid4(), uuid.uuid4())
    journal.record(early, 0, 1)
    full = disk(room)
    with pytest.raises(JournalFull):
        journal.record(late, 0, 2)
    full.room = 10_000
    # Of a stream under way: no admission has asked whether the journal is ready.
    journal.record(early, 0, 5)
    journal.record(late, 0, 6)
    journal.close()
    (dead,) = read_dead(tmp_path)
    assert dead.progress == {early: CallProgress(0, 5), late: CallProgress(0, 6)}


def test_ready__just_after_a_failure__waits_before_it_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    assert journal.is_ready()
    monkeypatch.setattr(os, "write", Disk(0))
    with pytest.raises(JournalFull):
        journal.record(uuid.uuid4(), 0, 0)
    monkeypatch.undo()
    assert not journal.is_ready()
    journal.close()


def test_turn__no_new_file_to_be_had__the_old_one_keeps_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 2 * RECORD)
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    journal, keys = Journal(tmp_path), [uuid.uuid4() for _ in range(4)]
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        before = open_files()
        for key in keys[:3]:
            journal.record(key, 0, 1)
        assert open_files() == before
        assert not journal.is_ready()
    assert journal.is_ready()
    journal.record(keys[3], 0, 1)
    journal.close()
    (dead,) = read_dead(tmp_path)
    assert set(dead.progress) == set(keys)


def refuse(*args: Any) -> None:
    raise OSError(errno.EMFILE, "Too many open files")


def test_dead_journals__other_files_in_the_folder__are_left_alone(
    tmp_path: Path,
) -> None:
    others = [f"notes{SUFFIX}", f"a.b{SUFFIX}", "1-a.0.new", f"a.b.0{SUFFIX}"]
    for name in others:
        (tmp_path / name).write_bytes(b"mine")
    assert read_dead(tmp_path) == []
    assert files(tmp_path) == sorted(others)


def test_dead_journals__settling_raised__keeps_the_files_for_the_next(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path)
    journal.record(uuid.uuid4(), 0, 0)
    journal.close()
    before = open_files()
    with pytest.raises(OSError, match="away"), claim_dead_journals(tmp_path) as found:
        assert len(found) == 1
        raise OSError("The database is away.")
    assert open_files() == before
    assert len(read_dead(tmp_path)) == 1
    assert files(tmp_path) == []


def test_dead_journals__two_processes_at_once__one_has_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.record(uuid.uuid4(), 0, 0)
    journal.close()
    with (
        claim_dead_journals(tmp_path) as first,
        claim_dead_journals(tmp_path) as second,
    ):
        assert (len(first), len(second)) == (1, 0)


@pytest.mark.parametrize("found", ["gone", "settled"])
def test_dead_journals__another_process_was_faster__there_is_nothing_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str
) -> None:
    journal = Journal(tmp_path)
    journal.record(uuid.uuid4(), 0, 0)
    journal.close()
    open_file = os.open

    def late(path: Path, *args: Any) -> int:
        """The other process is done just before, or just after, we open the file."""
        if found == "gone":
            path.unlink()
        fd = open_file(path, *args)
        path.unlink()
        return fd

    before = open_files()
    monkeypatch.setattr(os, "open", late)
    assert read_dead(tmp_path) == []
    assert open_files() == before


def test_dead_journals__no_folder__has_none(tmp_path: Path) -> None:
    assert read_dead(tmp_path / "none") == []


def test_living__journals_of_the_living_and_the_dead__names_the_first(
    tmp_path: Path,
) -> None:
    mine, others = Journal(tmp_path), Journal(tmp_path)
    key = uuid.UUID(int=1)
    for tokens in (1, 2):
        others.record(key, 1, tokens)
    others.close()
    assert living_processes(tmp_path) == {mine.name}
    assert progress_of(tmp_path, others.name) == {key: CallProgress(1, 2)}
    assert progress_of(tmp_path, mine.name) == {}
    assert progress_of(tmp_path, "none") is None
    mine.close()
    assert living_processes(tmp_path) == set()


def test_living__another_looks_at_the_same_time__takes_it_for_no_owner(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path)
    journal.record(uuid.UUID(int=1), 0, 1)
    journal.close()
    [path] = tmp_path.iterdir()
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert living_processes(tmp_path) == set()


def test_living__file_goes_meanwhile__its_owner_may_have_begun_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"1-a.0{SUFFIX}"
    monkeypatch.setattr(dead_journals, "_groups", lambda folder: {"1-a": [path]})
    assert living_processes(tmp_path) == {"1-a"}
    assert progress_of(tmp_path, "1-a") is None


def test_record__of_a_whole_answer__says_that_it_was_complete(tmp_path: Path) -> None:
    journal, whole, part = Journal(tmp_path), uuid.uuid4(), uuid.uuid4()
    journal.record(part, 2, 7)
    journal.record(whole, 2, 9, complete=True)
    journal.close()
    (dead,) = read_dead(tmp_path)
    assert dead.progress == {
        part: CallProgress(2, 7),
        whole: CallProgress(2, 9, True),
    }


def test_last_known__a_file_that_cannot_be_read__is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    journal.record(uuid.uuid4(), 0, 1)

    def refuse(*given: Any) -> int:
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        assert progress_of(tmp_path, journal.name) is None
    journal.close()
