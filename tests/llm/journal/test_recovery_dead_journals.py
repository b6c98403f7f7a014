"""What dead processes left open is settled by whoever lives, once, from the journal."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import structlog
from django.db import connections
from pytest_django import Settings

from billing.accounting import reaper
from billing.ledger import Admitted, commit_now
from billing.models import Reservation, Usage
from llm import tasks
from llm.journal import recovery as module
from llm.journal.journal import Journal
from llm.journal.recovery import JournalRecovery, settle_all
from tests.billing.sessions import locked_counters
from tests.fixtures_ledger import Desk, make_party
from tests.invariants import assert_nothing_held
from valuecanvas.core.db.db_thread import DbThread
from valuecanvas.core.storage.store import Store

Leave = Callable[..., list[Admitted]]


def ended(folder: Path) -> int:
    return sum(one.ended for one in settle_all(folder))


@pytest.fixture
def leave(desk: Desk, tmp_path: Path) -> Leave:
    """A process that died with one open request for each number of tokens.

    None: it was never sent upstream.
    """

    def make(*tokens: int | None) -> list[Admitted]:
        journal, party = Journal(tmp_path), make_party()
        items = [
            desk.admit(party, estimate=10**6, journal=journal.name) for _ in tokens
        ]
        held = [one for one in commit_now(items) if isinstance(one, Admitted)]
        for one, passed in zip(held, tokens, strict=True):
            if passed is not None:
                journal.record(one.id, 0, 0)
                journal.record(one.id, 0, passed)
        journal.close()
        return held

    return make


def test_settle_all__open_requests__bills_what_was_passed_on(
    leave: Leave, tmp_path: Path
) -> None:
    held = leave(50, 0, None)
    assert ended(tmp_path) == 3
    rows = {row.id: row for row in Usage.objects.all()}
    assert {one.id for one in held[:2]} == set(rows)
    assert [rows[one.id].completion_tokens for one in held[:2]] == [50, 0]
    assert {(row.source, row.status) for row in rows.values()} == {
        ("journal", "abandoned")
    }
    assert_nothing_held()
    assert ended(tmp_path) == 0
    assert list(tmp_path.iterdir()) == []


def test_settle_all__two_processes_at_once__each_request_ends_once(
    leave: Leave, tmp_path: Path
) -> None:
    for _ in range(8):
        leave(1, 2, None)

    def inherit(_: int) -> int:
        try:
            return ended(tmp_path)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(inherit, range(4))) == 24
    assert Usage.objects.count() == 16
    assert_nothing_held()


def test_settle_all__ledger_locked__keeps_the_journal_for_the_next_try(
    leave: Leave, tmp_path: Path, settings: Settings
) -> None:
    leave(5)
    settings.DB_LOCK_TIMEOUT_MS = 50
    with locked_counters(), pytest.raises(psycopg.errors.LockNotAvailable):
        settle_all(tmp_path)
    assert Reservation.objects.count() == 1
    assert ended(tmp_path) == 1
    assert_nothing_held()


def test_reap__lease_over_while_its_process_lives__waits_for_its_end(
    desk: Desk, tmp_path: Path
) -> None:
    journal = Journal(tmp_path)
    admission = desk.admit(estimate=10**6, lease_s=-1, journal=journal.name)
    [held] = commit_now([admission])
    assert isinstance(held, Admitted)
    journal.record(held.id, 0, 70)
    assert module.reap(tmp_path) == 0
    assert Reservation.objects.count() == 1
    journal.close()
    assert module.reap(tmp_path) == 1
    row = Usage.objects.get()
    assert (row.completion_tokens, row.source) == (70, "journal")
    assert_nothing_held()


def test_reap__lost_by_a_process_that_lives__is_billed_by_its_journal(
    desk: Desk, tmp_path: Path
) -> None:
    journal = Journal(tmp_path)
    long_ago = -reaper.LOST_S - 5
    admission = desk.admit(estimate=10**6, lease_s=long_ago, journal=journal.name)
    [held] = commit_now([admission])
    assert isinstance(held, Admitted)
    journal.record(held.id, 1, 70)
    assert module.reap(tmp_path) == 1
    row = Usage.objects.get()
    assert (row.completion_tokens, row.upstream_model) == (70, "um2")
    journal.close()
    assert_nothing_held()


@pytest.mark.parametrize("sent", [False, True])
def test_reap__lost_by_a_process_that_lives__nothing_is_with_a_provider__is_free(
    desk: Desk, tmp_path: Path, sent: bool
) -> None:
    journal, party = Journal(tmp_path), make_party()
    long_ago = -reaper.LOST_S - 5
    admission = desk.admit(party, lease_s=long_ago, journal=journal.name)
    [held] = commit_now([admission])
    assert isinstance(held, Admitted)
    if sent:
        journal.record(held.id, 0, 0)
        journal.withdraw(held.id)
    assert module.reap(tmp_path) == 1
    assert not Usage.objects.exists()
    assert isinstance(commit_now([desk.admit(party, quota=1)])[0], Admitted)
    journal.close()


def test_reap__journal_that_is_empty_here__still_bills_those_of_other_machines(
    desk: Desk, tmp_path: Path
) -> None:
    journal = Journal(tmp_path)
    commit_now([desk.admit(lease_s=-1, journal="7-elsewhere")])
    assert module.reap(tmp_path) == 1
    assert Usage.objects.get().source == "reaper"
    journal.close()


def test_reap__no_journal_on_this_machine__bills_the_prompt(
    desk: Desk, settings: Settings, tmp_path: Path
) -> None:
    settings.JOURNAL_DIR = tmp_path / "none"
    commit_now([desk.admit(lease_s=-1, journal="elsewhere")])
    assert tasks.reap() == 1
    assert Usage.objects.get().source == "reaper"
    assert tasks.reap() == 0
    assert_nothing_held()


async def test_recovery__ledger_locked_at_first__settles_later(
    leave: Leave,
    db_thread: DbThread,
    store: Store,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "EVERY_S", 0.01)
    settings.DB_LOCK_TIMEOUT_MS = 50
    await db_thread.run(leave, 5, 6)
    recovery = JournalRecovery(db_thread, store, tmp_path)
    with locked_counters():
        recovery.start()
        with structlog.testing.capture_logs() as lines:
            while not lines:
                await asyncio.sleep(0.01)
    assert lines[0]["event"] == "heir.waiting"
    while any(tmp_path.iterdir()):
        await asyncio.sleep(0.01)
    await recovery.stop()
    assert await db_thread.run(Usage.objects.count) == 2
    await db_thread.run(assert_nothing_held)


async def test_recovery__stopped_before_it_began__does_nothing(
    db_thread: DbThread, store: Store, tmp_path: Path
) -> None:
    await JournalRecovery(db_thread, store, tmp_path).stop()
