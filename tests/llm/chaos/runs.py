"""Makes runs as their controller does."""

import datetime as dt
from typing import Any

from django.utils import timezone

from llm.chaos.plan import FaultPlan, write_plan
from llm.models.chaos import ChaosRun, RunState


def make_run(
    plan: FaultPlan,
    *,
    name: str = "an-experiment",
    lease_s: float = 15,
    ttl_s: float = 300,
    state: str = RunState.RUNNING,
    **more: Any,
) -> ChaosRun:
    """A run that injects faults for `lease_s`, unless somebody renews its lease."""
    now = timezone.now()
    return ChaosRun.objects.create(
        name=name,
        plan=write_plan(plan),
        state=state,
        started_at=now,
        ends_at=now + dt.timedelta(seconds=ttl_s),
        lease_until=now + dt.timedelta(seconds=lease_s),
        **more,
    )
