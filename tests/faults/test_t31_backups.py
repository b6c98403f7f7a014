"""T31: backups under writes restore to their snapshot; damage is found and alerted."""

import asyncio
import json
import random
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from billing.ledger import Ledger, Party
from billing.models import Usage
from tests.faults.counts import either
from tests.faults.report import Case
from tests.fixtures_backups import BackupPlace, copy_backup, wait_until
from tests.fixtures_ledger import Desk, make_party, make_settle
from valuecanvas.backups import encryption, history, runs
from valuecanvas.backups.encryption import HashingFile
from valuecanvas.backups.repository import (
    CONTENTS,
    DUMP,
    REHEARSAL,
    SUMMARY,
    BackupRepository,
)
from valuecanvas.backups.types import Contents, Table

PARTS = (DUMP, CONTENTS, SUMMARY, REHEARSAL)
BACKUPS = either(1, 5)
FLIPS = 20
WRITES_PER_S = 200


@dataclass
class Load:
    """Requests that are admitted and, a moment later, settled: two writes each."""

    desk: Desk
    written: int = 0
    parties: list[Party] = field(
        default_factory=lambda: [make_party() for _ in "12345"]
    )
    over: threading.Event = field(default_factory=threading.Event)

    async def run(self) -> None:
        ledger, started = Ledger(), time.monotonic()
        requests: list[asyncio.Task[None]] = []
        try:
            while not self.over.is_set():
                requests.append(asyncio.create_task(self._request(ledger)))
                due = started + 2 * len(requests) / WRITES_PER_S
                await asyncio.sleep(max(0, due - time.monotonic()))
            await asyncio.gather(*requests)
        finally:
            ledger.close()

    async def _request(self, ledger: Ledger) -> None:
        party = random.choice(self.parties)
        admitted: Any = await ledger.put(self.desk.admit(party, quota=10**6))
        # A snapshot holds some that are under way.
        await asyncio.sleep(random.random() / 5)
        await ledger.put(make_settle(admitted, cost=random.randrange(90)))
        self.written += 2


@contextmanager
def writes(desk: Desk) -> Iterator[Load]:
    load = Load(desk)
    thread = threading.Thread(target=lambda: asyncio.run(load.run()))
    thread.start()
    try:
        yield load
    finally:
        load.over.set()
        thread.join()


def tables_of(folder: Path) -> dict[str, Table]:
    plain = BytesIO()
    with (folder / CONTENTS).open("rb") as file:
        encryption.decrypt(file, plain)
    return Contents.read(json.loads(plain.getvalue())).tables


def test_backup__made_under_writes__restores_to_its_snapshot(
    case: Case, backup_place: BackupPlace, desk: Desk
) -> None:
    with writes(desk) as load:
        wait_until(lambda: load.written >= WRITES_PER_S)
        started = time.monotonic()
        for _ in range(BACKUPS):
            before = load.written
            # It raises unless every check of the restored copy passes.
            row = runs.make(runs.begin("test"))
            case.inject("write", load.written - before)
            steps = {one["name"]: one["detail"] for one in row.steps}
            assert row.verified
            assert steps["Compare with the snapshot"].startswith(f"{row.tables} tables")
            assert not steps["Add up the ledger"].startswith("0 rows")
            # The snapshot lies between writes.
            found = tables_of(backup_place.storage / row.name)
            usage = [one for name, one in found.items() if "public.llm_usage_2" in name]
            assert 0 < sum(one.rows for one in usage) < Usage.objects.count()
            held = found["public.billing_reservation"].rows
            # The load did not end before the backup.
            assert load.written > before
        rate = case.total / (time.monotonic() - started)
    case.runs = f"{BACKUPS} backups at {WRITES_PER_S} writes/s"
    case.figure("written", f"{rate:.0f}/s")
    case.figure("rows of the last", row.rows)
    case.figure("requests under way in it", held)


@dataclass
class Store:
    """A backup that will be damaged, and an older one that is good."""

    place: BackupPlace
    source: Path
    folder: Path
    good: Path

    def renew(self) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self.source, self.folder)

    def alert(self) -> str:
        """What tells the operator: the nightly comparison, or a restore for trial."""
        with capture_logs() as lines:
            call_command("prune_backups")
            entries = {one.name: one for one in BackupRepository().entries()}
            text = entries[self.folder.name].problem
            if text:
                with pytest.raises(CommandError, match="1 of 2 backups are damaged"):
                    call_command("list_backups")
            else:
                with pytest.raises(CommandError) as told:
                    call_command("verify_backup", self.folder.name)
                text = str(told.value)
        errors = [one["event"] for one in lines if one["log_level"] == "error"]
        assert {*errors} & {"backup.damaged", "backup.unusable"}
        assert REGISTRY.get_sample_value("valuecanvas_backup_failed") == 1
        # The last good one stays, even past its retention.
        with override_settings(BACKUP_RETENTION_DAYS=1):
            call_command("prune_backups")
        assert BackupRepository().entries()[0].verified
        return text


@pytest.fixture
def store(backup_place: BackupPlace, stored_backup: Path, tmp_path: Path) -> Store:
    good = copy_backup(stored_backup, days=50)
    source = Path(shutil.copytree(stored_backup, tmp_path / "source"))
    found = Store(backup_place, source, stored_backup, good)
    # It is known, and fine.
    call_command("prune_backups")
    assert history.status().ok
    assert REGISTRY.get_sample_value("valuecanvas_backup_failed") == 0
    return found


def test_backup__one_byte_flipped__is_detected(case: Case, store: Store) -> None:
    seed = secrets.randbits(32)
    case.figure("seed", seed)
    dice = random.Random(seed)
    for number in range(FLIPS):
        path = store.folder / PARTS[number % len(PARTS)]
        raw = bytearray(path.read_bytes())
        at = dice.randrange(len(raw))
        raw[at] ^= 1 << dice.randrange(8)
        path.write_bytes(raw)
        text = store.alert()
        assert path.name in text, f"seed {seed}, byte {at} of {path.name}: {text}"
        case.inject("flipped byte")
        store.renew()
    case.runs = f"{FLIPS} places"


def test_backup__a_file_cut_short__is_detected(case: Case, store: Store) -> None:
    for part, share in product(PARTS, (0, 0.5)):
        path = store.folder / part
        raw = path.read_bytes()
        path.write_bytes(raw[: int(share * len(raw))])
        assert part in store.alert()
        case.inject("cut file")
        store.renew()


def test_backup__a_file_deleted__is_detected(case: Case, store: Store) -> None:
    for part in (DUMP, CONTENTS, SUMMARY):
        (store.folder / part).unlink()
        assert store.alert() == f"{part} is missing."
        case.inject("deleted file")
        store.renew()


def test_backup__its_result_deleted__is_not_verified_any_more(
    case: Case, store: Store
) -> None:
    shutil.rmtree(store.good)
    (store.folder / REHEARSAL).unlink()
    call_command("prune_backups")
    assert history.status().text == "no verified backup"
    case.inject("deleted file")


def test_backup__the_file_of_another__is_detected(case: Case, store: Store) -> None:
    for part in PARTS:
        path = store.folder / part
        if path.suffix == ".age":
            # Encrypted with the right key, of the right size.
            with path.open("r+b") as file:
                encryption.encrypt(BytesIO(b"another"), HashingFile(file))
        else:
            shutil.copy(store.good / part, path)
        assert part in store.alert()
        case.inject("file of another")
        store.renew()


def test_backup__another_key__is_detected_and_changes_nothing(
    case: Case, store: Store, settings: Any
) -> None:
    before, settings.BACKUP_KEY = settings.BACKUP_KEY, encryption.new_key()
    name = store.folder.name
    with pytest.raises(
        CommandError, match="summary.json: It was made with another key"
    ):
        call_command("verify_backup", name)
    with pytest.raises(CommandError, match="2 of 2 backups are damaged"):
        call_command("list_backups")
    call_command("prune_backups")
    assert not history.status().ok
    assert REGISTRY.get_sample_value("valuecanvas_backup_failed") == 1
    case.inject("wrong key")
    settings.BACKUP_KEY = before
    call_command("prune_backups")
    assert history.status().ok
    assert all(one.verified for one in BackupRepository().entries())
