"""The configuration on disk: whole or not believed."""

import os
import stat
import threading

import pytest

from valuecanvas.core import disk_snapshot

SECTIONS = {"flag": {"1": {"name": "a-flag", "share": 2500}}}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, settings):
    settings.VAR_DIR = tmp_path / "var"


def test_saved__and_loaded__the_same():
    assert disk_snapshot.save(7, SECTIONS)
    found = disk_snapshot.load()
    assert (found.epoch, found.sections) == (7, SECTIONS)
    assert found.saved_at > 0
    assert disk_snapshot.load(name="other") is None


def test_file__after_saving__only_the_owners():
    disk_snapshot.save(7, SECTIONS)
    disk_snapshot.save(8, SECTIONS)
    path = disk_snapshot.path()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content.replace(b"2500", b"9500"),
        lambda content: content[10:],
        lambda content: b"\x00" * len(content),
    ],
)
def test_file__damaged__not_believed(damage):
    disk_snapshot.save(7, SECTIONS)
    path = disk_snapshot.path()
    path.write_bytes(damage(path.read_bytes()))
    assert disk_snapshot.load() is None


def test_file__of_another_version__not_believed(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(disk_snapshot, "FORMAT", 0)
        disk_snapshot.save(7, SECTIONS)
    assert disk_snapshot.load() is None


def test_file__that_cannot_be_read_or_written__none_and_no_error(settings, tmp_path):
    disk_snapshot.path().mkdir(parents=True)
    assert disk_snapshot.load() is None
    assert not disk_snapshot.save(7, SECTIONS)
    (tmp_path / "file").touch()
    settings.VAR_DIR = tmp_path / "file"
    assert not disk_snapshot.save(7, SECTIONS)
    assert os.listdir(tmp_path / "var" / "snapshot") == ["gateway.json"]


def test_file__many_writers__a_reader_always_sees_one_whole():
    disk_snapshot.save(0, SECTIONS)

    def write(first: int) -> None:
        for number in range(20):
            disk_snapshot.save(first + number, SECTIONS)

    writers = [threading.Thread(target=write, args=(n * 100,)) for n in range(4)]
    for one in writers:
        one.start()
    while any(one.is_alive() for one in writers):
        assert disk_snapshot.load() is not None
    for one in writers:
        one.join()
