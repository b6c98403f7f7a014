"""Faults of drills, each by itself: Redis slow and down, sessions ended, a worker killed."""

import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from django.conf import settings as configured
from pytest_django import Settings

from llm import runtime
from llm.chaos.leases import Lease, Leases
from llm.chaos.plan import FaultPlan
from llm.chaos.process_faults import end_sessions, exit_worker, here
from llm.chaos.store_faults import FaultStore
from llm.models import ChaosRun
from llm.models.chaos import FaultKind, RunState
from tests.live.server import database_url
from tests.llm.chaos.runs import make_run
from valuecanvas.core.storage.store import SLOW_ROUNDS, Store, StoreDown


def lease_of(
    fault: FaultKind, run_id: uuid.UUID | None = None, **parameters: Any
) -> Lease:
    plan = FaultPlan(fault, parameters)
    return Lease(run_id or uuid.uuid4(), "drill", plan, time.monotonic() + 600)


@pytest.fixture
def leases() -> Leases:
    return Leases()


@pytest.fixture
async def store(leases: Leases, prefix: str) -> AsyncIterator[FaultStore]:
    one = FaultStore(leases, configured.REDIS_URL, timeout_s=5, prefix=prefix)
    yield one
    await one.close()


async def test_store_down__lease_lives_then_ends__is_bypassed_then_used_again(
    store: FaultStore, leases: Leases
) -> None:
    assert await store.command("ECHO", "x") == b"x"
    lease = lease_of(FaultKind.STORE_DOWN)
    leases.put((lease,))
    for _ in range(SLOW_ROUNDS):
        with pytest.raises(StoreDown):
            await store.command("ECHO", "x")
    assert not store.up
    assert leases.injected[lease.run_id] == SLOW_ROUNDS
    leases.put(())
    while not store.up:
        with pytest.raises(StoreDown):
            await store.command("ECHO", "x")
        await leases.wait(lease, 0.05)
        store._down_until = 0.0
        await store._enqueue(("PING",), None)
    assert await store.command("ECHO", "x") == b"x"


async def test_store_slow__beyond_its_time_limit__counts_as_down(
    leases: Leases, prefix: str
) -> None:
    store = FaultStore(leases, configured.REDIS_URL, timeout_s=0.2, prefix=prefix)
    leases.put((lease_of(FaultKind.STORE_SLOW, delay_ms=10_000),))
    with pytest.raises(StoreDown):
        await store.command("ECHO", "x")
    await store.close()


async def test_store_slow__within_its_time_limit__answers_later(
    store: FaultStore, leases: Leases
) -> None:
    leases.put((lease_of(FaultKind.STORE_SLOW, delay_ms=300),))
    started = time.monotonic()
    assert await store.command("ECHO", "x") == b"x"
    assert time.monotonic() - started >= 0.3


async def test_store__fault_of_providers__is_as_ever(
    store: FaultStore, leases: Leases
) -> None:
    leases.put((lease_of(FaultKind.TIMEOUT),))
    assert await store.command("ECHO", "x") == b"x"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("enabled", [False, True])
async def test_runtime__chaos_enabled_or_not__has_the_faults_or_none(
    settings: Settings, tmp_path: Any, enabled: bool
) -> None:
    settings.CHAOS_ENABLED, settings.JOURNAL_DIR = enabled, tmp_path / "journal"
    started = await runtime.start()
    try:
        assert type(started.store) is (FaultStore if enabled else Store)
        assert bool(started.chaos) is enabled
    finally:
        await started.stop()


@pytest.mark.django_db(transaction=True)
def test_sessions__of_our_role__end_once_in_a_run() -> None:
    run = make_run(FaultPlan(FaultKind.DATABASE_RESTART))
    lease = lease_of(FaultKind.DATABASE_RESTART, run.pk)
    for ends in (True, False):
        with psycopg.connect(database_url()) as other:
            end_sessions(lease)
            if ends:
                with pytest.raises(psycopg.OperationalError):
                    other.execute("SELECT 1")
            else:
                other.execute("SELECT 1")
    run.refresh_from_db()
    assert run.injected == 1


@pytest.mark.django_db
def test_sessions__run_is_over__stay() -> None:
    run = make_run(FaultPlan(FaultKind.DATABASE_RESTART))
    ChaosRun.objects.update(state=RunState.STOPPED)
    end_sessions(lease_of(FaultKind.DATABASE_RESTART, run.pk))
    run.refresh_from_db()
    assert run.injected == 0


@pytest.mark.django_db
def test_worker__another_one_is_named__lives() -> None:
    run = make_run(FaultPlan(FaultKind.WORKER_EXIT))
    exit_worker(lease_of(FaultKind.WORKER_EXIT, run.pk, worker=here() + "0"))
    run.refresh_from_db()
    assert run.injected == 0


def test_worker__it_is_named__ends_at_once() -> None:
    code = (
        "import django; django.setup()\n"
        "from types import SimpleNamespace as N\n"
        "from llm.chaos import process_faults as faults\n"
        "faults._claim = lambda lease: True\n"
        "plan = N(parameters={'worker': faults.here()})\n"
        "try: faults.exit_worker(N(plan=plan, run_id='x'))\n"
        "finally: print('a last act')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=configured.BASE_DIR, capture_output=True
    )
    assert done.returncode == 137
    assert b"a last act" not in done.stdout
