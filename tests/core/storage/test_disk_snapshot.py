"""The configuration on disk: whole or not believed."""

import os
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest

from valuecanvas.core.storage import disk_snapshot

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


def test_saved__of_every_shape__the_same():
    sections = {
        "none": {},
        "list": [1, {"a": None}],
        'Ö "quoted"': {'a"b': {"deep": [1, {"x": None}]}, "é\n": [], "f": 1.5},
        "pieces": {"1": orjson.Fragment(b'{"name":"p"}'), "2": "text"},
    }
    assert disk_snapshot.save(7, sections)
    found = disk_snapshot.load().sections
    assert found == {**sections, "pieces": {"1": {"name": "p"}, "2": "text"}}
    assert disk_snapshot.save(8, {})
    assert disk_snapshot.load().sections == {}


def test_saved__row_after_row__none_is_written_with_another():
    pieces = disk_snapshot._pieces(
        7, {"prompt": {str(n): "x" * 999 for n in range(50)}}
    )
    sizes = [len(piece) for piece in pieces]
    assert (max(sizes), len(sizes) > 100) == (1001, True)


def test_saved__something_that_is_no_json__nothing_is_left_and_the_old_one_stays():
    disk_snapshot.save(7, SECTIONS)
    with pytest.raises(TypeError):
        disk_snapshot.save(8, {"flag": {"1": object()}})
    assert disk_snapshot.load().epoch == 7
    assert os.listdir(disk_snapshot.path().parent) == ["gateway.json"]


def test_abandoned_files__of_killed_writers__are_swept_and_no_others():
    folder = disk_snapshot.path().parent
    folder.mkdir(parents=True)
    old = time.time() - disk_snapshot.ABANDONED_S - 60
    names = {
        "gateway.json.12.345": old,
        "gateway.json.13.346": time.time(),
        "gateway.json.bak": old,
        "gateway.json.12.345.txt": old,
        "gateway_json.12.345": old,
        "keys.json.12.345": old,
    }
    for name, at in names.items():
        (folder / name).touch()
        os.utime(folder / name, (at, at))
    (folder / "gateway.json.14.347").mkdir()
    os.utime(folder / "gateway.json.14.347", (old, old))

    assert disk_snapshot.save(7, SECTIONS)

    gone = {"gateway.json.12.345"}
    assert set(os.listdir(folder)) == {*names, "gateway.json", "gateway.json.14.347"} - gone  # fmt: skip


def test_abandoned_files__swept_by_many_at_once__all_save():
    folder = disk_snapshot.path().parent
    folder.mkdir(parents=True)
    old = time.time() - disk_snapshot.ABANDONED_S - 60
    for number in range(200):
        (folder / f"gateway.json.1.{number}").touch()
        os.utime(folder / f"gateway.json.1.{number}", (old, old))

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda n: disk_snapshot.save(n, SECTIONS), range(8)))

    assert done == [True] * 8
    assert os.listdir(folder) == ["gateway.json"]


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
