"""T29: the broker is lost with jobs in the queue, and sends its messages again."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.faults import jobs
from tests.faults.counts import either
from tests.faults.load import off_loop
from tests.faults.rig import Rig
from tests.faults.traffic import Client
from tests.faults.workers import WorkerProcess

JOBS = either(40, 500)
COPIES = 3


@pytest.fixture
def worker(stage: jobs.Stage, tmp_path: Path) -> Iterator[WorkerProcess]:
    """A worker with the beat; not started."""
    env = {**stage.env, **jobs.QUICK}
    made = WorkerProcess(tmp_path, env, "one", beat=True)
    yield made
    made.stop()


async def test_broker__killed_and_started_empty__each_job_is_done_and_billed_once(
    rig: Rig, worker: WorkerProcess
) -> None:
    offer = rig.provide("ok-12")
    rig.db(jobs.prepare)
    async with Client() as client:
        ids = [await jobs.submit(rig, client, offer.model) for _ in range(JOBS // 2)]
        await off_loop(rig.pool, rig.engines.kill_valkey)
        rig.case.inject("broker killed")
        # Without a broker too a job is taken.
        ids += [await jobs.submit(rig, client, offer.model) for _ in range(JOBS // 2)]
        await off_loop(rig.pool, rig.engines.start_valkey)
        worker.start()
        await jobs.until(lambda: jobs.done(rig, ids) == len(ids), [worker])
    rig.case.runs = f"{JOBS} jobs"
    rig.db(jobs.assert_done_once, ids)
    rig.settled()
    assert worker.crashes == []


async def test_messages__sent_again_and_jobs_longer_than_their_timeout__run_once(
    rig: Rig, worker: WorkerProcess
) -> None:
    # The visibility timeout of this worker's messages is 1 s.
    offer = rig.provide("slow@3s")
    rig.db(jobs.prepare)
    async with Client() as client:
        ids = [await jobs.submit(rig, client, offer.model) for _ in range(20)]
    with redis.Redis.from_url(rig.engines.valkey.url) as store:
        queues = [one for one in store.keys("*celery*") if store.type(one) == b"list"]
        for name in queues:
            for message in store.lrange(name, 0, -1):
                store.rpush(name, *[message] * COPIES)
                rig.case.inject("message sent again", COPIES)
        worker.start()
        await jobs.until(lambda: jobs.done(rig, ids) == len(ids), [worker])
        await asyncio.sleep(3)
    rig.case.runs = "20 jobs of 3 s"
    rig.db(jobs.assert_done_once, ids)
    assert rig.reached(offer) == len(ids)
    assert worker.crashes == []
