"""S26: the files of a backup: encrypted, sealed, private; and the folder for plain data."""

import errno
import os
import stat
from io import BytesIO
from pathlib import Path
from typing import Any

import hypothesis
import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrage import x25519

from tests.fixtures_backups import BackupPlace
from valuecanvas.backups import encryption
from valuecanvas.backups.encryption import HashingFile
from valuecanvas.backups.errors import BackupError, DamagedBackup
from valuecanvas.backups.repository import SUMMARY, BackupRepository, work_folder


class Full(BytesIO):
    """A file on a full disk."""

    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def encrypted(plain: bytes) -> bytes:
    target = BytesIO()
    encryption.encrypt(BytesIO(plain), HashingFile(target))
    return target.getvalue()


@pytest.mark.parametrize("size", [0, 1, 65_536, 200_001])
def test_file__encrypted__is_opened_with_the_key_alone(
    settings: Any, size: int
) -> None:
    plain = os.urandom(size)
    target, seen = BytesIO(), list[int]()
    written = HashingFile(target, seen.append)
    encryption.encrypt(BytesIO(plain), written)
    raw = target.getvalue()
    assert (written.size, seen[-1]) == (len(raw), len(raw))
    assert raw.startswith(b"age-encryption.org/v1\n")
    # As the program `age -d` does it, without this product.
    key = x25519.Identity.from_str(settings.BACKUP_KEY)
    assert pyrage.decrypt(raw, [key]) == plain
    found = BytesIO()
    encryption.decrypt(BytesIO(raw), found)
    assert found.getvalue() == plain


def test_file__changed_or_of_another_key__is_damage(settings: Any) -> None:
    raw = bytearray(encrypted(b"a" * 100))
    for at in (0, 60, len(raw) - 1):
        changed = bytearray(raw)
        changed[at] ^= 1
        with pytest.raises(DamagedBackup, match="cannot be decrypted with BACKUP_KEY"):
            encryption.decrypt(BytesIO(changed), BytesIO())
    with pytest.raises(DamagedBackup):
        encryption.decrypt(BytesIO(raw[:-1]), BytesIO())
    settings.BACKUP_KEY = encryption.new_key()
    with pytest.raises(DamagedBackup, match="No matching keys"):
        encryption.decrypt(BytesIO(raw), BytesIO())


def test_file__full_disk__is_no_damage() -> None:
    with pytest.raises(OSError, match="No space left on device"):
        encryption.encrypt(BytesIO(b"a" * 100_000), HashingFile(Full()))
    with pytest.raises(OSError, match="No space left on device"):
        encryption.decrypt(BytesIO(encrypted(b"a" * 100_000)), Full())


DOCUMENTS = st.dictionaries(
    st.text(max_size=5), st.none() | st.integers() | st.text(max_size=9), max_size=4
)


@hypothesis.settings(derandomize=True, max_examples=100, deadline=None)
@given(DOCUMENTS, DOCUMENTS)
def test_seal__any_document__holds_that_one_only(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    ours = {"recipient": encryption.recipient()}
    one, other = {**first, **ours}, {**second, **ours}
    one.pop("seal", None)
    raw = encryption.seal(one)
    assert encryption.unseal(raw) == one
    other["seal"] = "0" * 64
    with pytest.raises(DamagedBackup, match="It was changed after it was written"):
        encryption.unseal(encryption._text(other).encode())


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[]", b'"seal"', b"{}", b"7", b"null"])
def test_seal__no_document__is_said(raw: bytes) -> None:
    with pytest.raises(DamagedBackup, match="It is not a document of a backup"):
        encryption.unseal(raw)


def test_summary__of_another_version__is_said(stored_backup: Path) -> None:
    path = stored_backup / SUMMARY
    document = encryption.unseal(path.read_bytes())
    path.write_bytes(encryption.seal({**document, "new": "field"}))
    [entry] = BackupRepository().entries()
    assert entry.problem.startswith("summary.json is of another version: ")
    del document["files"]
    path.write_bytes(encryption.seal(document))
    with pytest.raises(DamagedBackup, match=r"another version: 'files'\."):
        BackupRepository().summary(stored_backup.name)


def test_files__on_disk__are_for_their_owner_only(
    backup_place: BackupPlace, tmp_path: Path
) -> None:
    repository, name = BackupRepository(), "20261129T000000Z-abcdef"
    (tmp_path / "dump").write_bytes(b"a")
    repository.put(name, "database.dump.age", tmp_path / "dump")
    repository.put_document(name, SUMMARY, {"recipient": encryption.recipient()})
    folder = backup_place.storage / name
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {0o600}
    # It was taken over, not copied.
    assert not (tmp_path / "dump").exists()


def test_work_folder__of_each_process__is_private_and_outlives_no_process(
    backup_place: BackupPlace,
) -> None:
    with work_folder() as folder:
        living = backup_place.work / f"valuecanvas-backup-{os.getppid()}-x"
        # Larger than any process's id.
        dead = backup_place.work / "valuecanvas-backup-4194305-x"
        foreign = backup_place.work / "lost+found"
        for one in (living, dead, foreign):
            one.mkdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with work_folder() as second:
            assert second != folder
        assert not dead.exists()
        for one in (living, foreign):
            one.rmdir()
    assert backup_place.rests() == []


def test_work_folder__of_no_use__names_the_setting(
    settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    settings.BACKUP_WORK_DIR = str(tmp_path / "file" / "work")
    with (
        pytest.raises(BackupError, match=r"Not a directory.*BACKUP_WORK_DIR \("),
        work_folder(),
    ):
        pytest.fail("There is none.")
