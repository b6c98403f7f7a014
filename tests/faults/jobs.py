"""What the cases about jobs share: submitting, waiting, and the sums at the end."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from django.db.models import Count, Q

from billing.models import Usage
from llm.models import Job, JobResult, JobState
from tests.faults.conftest import Stage as Stage
from tests.faults.rig import PATIENCE_S, Rig
from tests.faults.traffic import Client
from tests.faults.workers import WorkerProcess
from valuecanvas.site.schedules import ensure_schedules

LEASE_S = 5
SWEEP_S = 15
# Leases of a production worker are longer.
QUICK = {"JOBS_LEASE_S": str(LEASE_S)}


def prepare() -> None:
    """The schedules, and an empty queue."""
    ensure_schedules()
    Job.objects.all().delete()


async def submit(rig: Rig, client: Client, model: str, *, text: str = "") -> str:
    """Submit a completion; its id."""
    messages = [{"role": "user", "content": text or rig.text()}]
    body = {"type": "completion", "body": {"model": model, "messages": messages}}
    async with client.session.post(
        f"{rig.url_of}/api/llm/jobs",
        data=orjson.dumps(body),
        headers={
            "Authorization": f"Bearer {rig.key}",
            "Content-Type": "application/json",
        },
    ) as answer:
        sent = await answer.read()
        assert answer.status == 202, sent
        return str(orjson.loads(sent)["id"])


async def until(
    reached: Callable[[], bool], workers: Sequence[WorkerProcess] = ()
) -> None:
    """Wait for a state, while all `workers` live. Raises TimeoutError."""
    async with asyncio.timeout(3 * PATIENCE_S):
        while not reached():
            for one in workers:
                assert one.alive, one.log[-4000:]
            await asyncio.sleep(0.1)


def count(rig: Rig, wanted: str) -> int:
    return rig.db(Job.objects.filter(state=wanted).count)


def done(rig: Rig, ids: Sequence[str]) -> int:
    rows = Job.objects.filter(pk__in=ids, state=JobState.SUCCEEDED)
    return rig.db(rows.count)


def state(job_id: str) -> str:
    return Job.objects.get(pk=job_id).state


def attempts(job_id: str) -> int:
    return Job.objects.get(pk=job_id).attempts


def assert_done_once(ids: Sequence[str]) -> None:
    """Each job has one result and one charge, of one unit of quota."""
    rows: Any = Job.objects.filter(pk__in=ids)
    assert {row.state for row in rows} == {JobState.SUCCEEDED}
    assert JobResult.objects.filter(job__in=rows).count() == len(ids)
    charged = Usage.objects.filter(job__in=ids).values("job")
    charges = charged.annotate(
        paid=Count("id", filter=Q(cost_usd__gt=0)),
        units=Count("id", filter=~Q(marks__contains=["refunded"])),
    )
    found = {row["job"]: (row["paid"], row["units"]) for row in charges}
    assert found == dict.fromkeys(ids, (1, 1))
