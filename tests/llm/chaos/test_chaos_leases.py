"""Leases: which faults this process injects, and until when."""

import asyncio
import time
import uuid
from pathlib import Path

import pytest

from llm.chaos.leases import Lease, Leases, LeaseWatch, add_counts, read_leases
from llm.chaos.plan import FaultPlan
from llm.models.chaos import ChaosRun, RunState
from tests.llm.chaos.runs import make_run
from valuecanvas.core.db.db_thread import DbThread

ERROR = FaultPlan("error", {"status": 503})


@pytest.fixture(autouse=True)
def enabled(settings, tmp_path):
    settings.CHAOS_ENABLED = True
    settings.CHAOS_STOP_FILE = str(tmp_path / "chaos.stop")


def lease(seconds: float) -> Lease:
    return Lease(uuid.uuid4(), "one", ERROR, time.monotonic() + seconds)


def test_leases__past_their_time__are_not_live():
    leases = Leases()
    short, long = lease(0.05), lease(60)
    leases.put((short, long))
    assert leases.live() == (short, long)
    while time.monotonic() < short.until:
        time.sleep(0.01)
    assert leases.live() == (long,)


async def test_wait__with_a_lease_that_goes_on__takes_its_time():
    leases, held = Leases(), lease(60)
    leases.put((held,))
    begun = time.monotonic()
    await leases.wait(held, 0.1)
    assert time.monotonic() - begun >= 0.1


async def test_wait__until_the_lease_is_over__ends_then():
    leases, held = Leases(), lease(0.1)
    leases.put((held,))
    await leases.wait(held, 10**6)
    assert time.monotonic() >= held.until


async def test_wait__for_a_stopped_run__ends_at_once():
    leases, held, other = Leases(), lease(10**6), lease(10**6)
    leases.put((held, other))
    waiting = asyncio.create_task(leases.wait(held, 10**6))
    await asyncio.sleep(0)
    leases.put((held, other))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    leases.put((other,))
    await waiting


@pytest.mark.django_db
def test_read__of_a_running_run__has_a_lease_until_its_end():
    run = make_run(ERROR, lease_s=15, ttl_s=60)
    [found] = read_leases()
    assert (found.run_id, found.name, found.plan) == (run.pk, run.name, ERROR)
    assert 0 < found.until - time.monotonic() <= 15


@pytest.mark.django_db
def test_read__of_a_run_near_its_end__ends_with_it():
    make_run(ERROR, lease_s=15, ttl_s=5)
    [found] = read_leases()
    assert found.until - time.monotonic() <= 5


@pytest.mark.django_db
@pytest.mark.parametrize("state", [one for one in RunState if one != "running"])
def test_read__of_a_run_in_another_state__finds_none(state):
    make_run(ERROR, state=state)
    assert read_leases() == ()


@pytest.mark.django_db
def test_read__past_the_lease_or_the_end__finds_none():
    make_run(ERROR, lease_s=-1)
    make_run(ERROR, ttl_s=-1)
    without = make_run(ERROR)
    ChaosRun.objects.filter(pk=without.pk).update(lease_until=None)
    assert read_leases() == ()


@pytest.mark.django_db
def test_read__with_the_stop_file__finds_none(settings):
    make_run(ERROR)
    Path(settings.CHAOS_STOP_FILE).touch()
    assert read_leases() == ()


@pytest.mark.django_db
def test_read__with_chaos_off__finds_none(settings):
    make_run(ERROR)
    settings.CHAOS_ENABLED = False
    assert read_leases() == ()


@pytest.mark.django_db
def test_read__of_a_plan_it_does_not_know__passes_it_over():
    run = make_run(ERROR)
    ChaosRun.objects.filter(pk=run.pk).update(plan={"fault": "fire"})
    other = make_run(ERROR)
    assert [one.run_id for one in read_leases()] == [other.pk]


@pytest.mark.django_db(transaction=True)
async def test_watch__of_a_run__follows_it_and_counts():
    db, leases = DbThread(), Leases()
    run = await db.run(make_run, ERROR)
    watch = LeaseWatch(db, leases)
    watch.start()
    try:
        while not leases.live():
            await asyncio.sleep(0.01)
        leases.injected[run.pk] += 3
        await db.run(stop_run, run)
        while leases.live():
            await asyncio.sleep(0.01)
        leases.injected[run.pk] += 4
    finally:
        await watch.stop()
        await db.run(run.refresh_from_db)
        db.close()
    assert run.injected == 7
    assert leases.live() == ()


def stop_run(run):
    ChaosRun.objects.filter(pk=run.pk).update(state=RunState.STOPPED)


@pytest.mark.django_db
def test_counts__of_two_processes__add_up():
    run = make_run(ERROR)
    add_counts({run.pk: 2, uuid.uuid4(): 9})
    add_counts({run.pk: 5})
    run.refresh_from_db()
    assert run.injected == 7
