"""T28: workers are killed while they run jobs; a job that kills its worker."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import jobs
from tests.faults.counts import either
from tests.faults.load import off_loop
from tests.faults.poison import MARK
from tests.faults.rig import PATIENCE_S, Rig
from tests.faults.traffic import Client
from tests.faults.workers import WorkerProcess

JOBS = either(20, 50)
KILLS = either(2, 6)


@pytest.fixture
def pair(stage: jobs.Stage, tmp_path: Path) -> Iterator[list[WorkerProcess]]:
    """Two workers, of which one has the beat; not started."""
    env = {**stage.env, **jobs.QUICK}
    made = [
        WorkerProcess(tmp_path, env, "one", beat=True),
        WorkerProcess(tmp_path, env, "two"),
    ]
    yield made
    for one in made:
        one.stop()


async def test_workers__killed_in_the_middle_of_jobs__each_is_done_and_billed_once(
    rig: Rig, pair: list[WorkerProcess]
) -> None:
    offer = rig.provide("slow@300ms")
    rig.db(jobs.prepare)
    longest = 0.0
    async with Client() as client:
        ids = [await jobs.submit(rig, client, offer.model) for _ in range(JOBS)]
        for one in pair:
            one.start()
        for number in range(KILLS):
            await jobs.until(lambda: jobs.count(rig, "running") > 0, pair)
            victim = pair[number % 2]
            await off_loop(rig.pool, victim.kill)
            killed = time.monotonic()
            rig.case.inject("kill -9 of a worker")
            victim.start()
            if number == KILLS - 1:
                await jobs.until(lambda: jobs.done(rig, ids) == JOBS, pair)
                longest = max(longest, time.monotonic() - killed)
    rig.case.runs = f"{JOBS} jobs"
    rig.case.figure("from the last kill until all were done", f"{longest:.1f} s")
    assert longest <= jobs.LEASE_S + jobs.SWEEP_S + 30
    rig.db(jobs.assert_done_once, ids)
    rig.settled()
    assert [one.crashes for one in pair] == [[], []]


async def test_poison__a_job_that_kills_its_worker__is_a_dead_letter_after_three_tries(
    rig: Rig, pair: list[WorkerProcess]
) -> None:
    offer = rig.provide("ok-12")
    rig.db(jobs.prepare)
    async with Client() as client:
        poison = await jobs.submit(rig, client, offer.model, text=MARK)
        ids = [await jobs.submit(rig, client, offer.model) for _ in range(5)]
        pair[0].start()
        async with asyncio.timeout(3 * PATIENCE_S):
            while rig.db(jobs.state, poison) != "dead":
                if not pair[0].alive:
                    rig.case.inject("worker killed by a job")
                    pair[0].start()
                await asyncio.sleep(0.1)
        await jobs.until(lambda: jobs.done(rig, ids) == len(ids), pair[:1])
    rig.case.runs = "1 poison, 5 others"
    assert rig.db(jobs.attempts, poison) == 3
    assert rig.case.injected["worker killed by a job"] == 3
    rig.db(jobs.assert_done_once, ids)
