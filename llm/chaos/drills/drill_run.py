"""Runs a drill: requests before, during and after its fault, and what came of them."""

import asyncio
import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone

from billing.models import Customer
from llm.chaos import chaos_runs, checks
from llm.chaos.chaos_runs import Person
from llm.chaos.drills import drill_ledger
from llm.chaos.drills.drill import AFTER_MOST, BEFORE, DrillImpossible, Evidence
from llm.chaos.drills.drill_list import DRILLS
from llm.chaos.drills.drill_traffic import DrillAnswer, Traffic, read_readiness
from llm.chaos.drills.expectations import SLACK_S, describe_faults
from llm.chaos.drills.renewal import renew_lease
from llm.chaos.drills.scene import CUSTOMER, TAG, Scene, open_traffic, set_scene
from llm.chaos.plan import FaultPlan
from llm.jobs import submission
from llm.jobs.owner import owner_of_customer
from llm.jobs.types import JobCall
from llm.models import ChaosRun
from llm.models.chaos import FaultKind, RunState

log = structlog.get_logger("chaos")
T = TypeVar("T")
Say = Callable[[str], None]

# Every process has read the lease by then, or that there is none.
KNOWN_S = 3 * settings.CHAOS_POLL_S
PAUSE_S, SPREAD_S = 0.1, 0.2
RECOVERY_PAUSE_S = 0.5
# The run ends by itself so long after its requests should be over.
SPARE_S = 120


class DrillStopped(Exception):
    """Somebody stopped the run, or its controller ended it."""


@dataclass(slots=True)
class DrillRun:
    """One drill under way. `say` gets a line at each step."""

    scene: Scene
    by: Person
    say: Say
    customer: Customer
    traffic: Traffic
    evidence: Evidence
    run: ChaosRun | None = None
    jobs: list[str] = field(default_factory=list)
    points: list[tuple[str, str, list[DrillAnswer]]] = field(default_factory=list)

    def carry_out(self) -> ChaosRun:
        """Raises RunRefused."""
        since, quota = timezone.now(), drill_ledger.read_quota(self.customer)
        self._look_before()
        self._begin()
        try:
            with renew_lease(self._refresh()):
                self._look_during()
                self._end_fault()
                self._look_after()
                self.say("Reading the ledger ...")
                _again(lambda: self._add_ledger(since, quota))
            self._check_active()
        except DrillStopped:
            return self._refresh()
        except BaseException:
            # No report: whatever it was, the drill did not see what it should.
            chaos_runs.stop(
                self._refresh(), by=self.by, reason="The drill itself failed."
            )
            raise
        return self._conclude()

    def _look_before(self) -> None:
        """Raises DrillImpossible where requests fail without any fault."""
        self.say(f"Sending {BEFORE} requests before the fault ...")
        before = self.evidence.before = self._send("before", BEFORE)
        if not all(one.ok for one in before):
            raise DrillImpossible(
                f"Before any fault, {describe_faults(before)} A drill begins in a "
                "healthy state: mend that first."
            )

    def _begin(self) -> None:
        """Raises RunRefused."""
        drill = self.scene.drill
        if drill.needs_workers:
            self.jobs = [self._submit() for _ in range(drill.requests // 2)]
        self.run = chaos_runs.start_plan(
            drill.name, self._plan(), by=self.by, ttl_s=self._ttl_s(), is_drill=True
        )
        self.say(f"The fault begins: {drill.description}")

    def _plan(self) -> FaultPlan:
        """Faults of calls meet the drills' own customer alone."""
        drill, model = self.scene.drill, self.scene.model
        if drill.fault == FaultKind.LATENCY:
            late = (model.first_token_s + 10) * 1000
            parameters: dict[str, Any] = {"delay_ms": late, "most_ms": late}
        elif drill.fault == FaultKind.STORE_SLOW:
            parameters = {"delay_ms": 3 * settings.REDIS_TIMEOUT_MS}
        elif drill.fault == FaultKind.WORKER_EXIT:
            victim = drill_ledger.find_busiest(self.scene.workers, self.jobs)
            parameters = {"worker": str(victim)}
        else:
            parameters = {}
        if not drill.meets:
            return FaultPlan(drill.fault, parameters)
        mine = {"attribute": "user_id", "operator": "equals", "value": CUSTOMER}
        providers = [self.evidence.primary] if drill.meets == "primary" else []
        return FaultPlan(
            drill.fault,
            parameters,
            providers=frozenset(providers),
            model_names=frozenset({model.name}),
            conditions=(mine,),
        )

    def _ttl_s(self) -> int:
        drill, model = self.scene.drill, self.scene.model
        waits = drill.requests / drill.at_once if drill.stream else 0
        longest = waits * (model.first_token_s + 1) + SPARE_S
        return int(min(longest, settings.CHAOS_MOST_TTL_S))

    def _look_during(self) -> None:
        """Raises DrillStopped."""
        drill, seen = self.scene.drill, self.evidence
        if drill.fault == FaultKind.DATABASE_RESTART:
            # It happens once, at any moment: streams must be under way.
            self.say(f"Sending {drill.requests} streams meanwhile ...")
            seen.during = asyncio.run(
                self.traffic.send_spread(drill.requests, SPREAD_S)
            )
            self._note("during", seen.during)
        elif drill.needs_workers:
            # The worker ends at any moment of these: jobs must be under way.
            rest = drill.requests - len(self.jobs)
            for _ in range(rest):
                self.jobs.append(self._submit())
                time.sleep(KNOWN_S / rest)
        else:
            self._wait(KNOWN_S)
            self.say(f"Sending {drill.requests} requests during the fault ...")
            while (left := drill.requests - len(seen.during)) > 0:
                self._check_active()
                group = min(left, max(drill.at_once, 5))
                seen.during += self._send("during", group, at_once=drill.at_once)
            seen.redis = self._read_redis()
        self._check_active()

    def _end_fault(self) -> None:
        """Raises DrillStopped."""
        run = self._refresh()
        if not _again(
            lambda: chaos_runs.move(run.pk, RunState.RUNNING, RunState.RECOVERING)
        ):
            raise DrillStopped
        self.say("The fault is over.")

    def _look_after(self) -> None:
        seen, started = self.evidence, time.monotonic()
        if self.jobs:
            self.say("Waiting for the jobs ...")
            _again(lambda: drill_ledger.wait_jobs(self.jobs))
            _again(lambda: drill_ledger.add_jobs(seen, self.jobs))
            return
        meets = self.scene.drill.meets

        def is_back(answer: DrillAnswer) -> bool:
            return answer.ok and (not meets or answer.provider == seen.primary)

        self.say("Sending requests until all is as before ...")
        count = min(
            AFTER_MOST, int((settings.BREAKER_OPEN_S + SLACK_S) / RECOVERY_PAUSE_S)
        )
        seen.after = self._send("after", count, pause_s=RECOVERY_PAUSE_S, until=is_back)
        if is_back(seen.after[-1]):
            seen.recovery_s = time.monotonic() - started
        self._wait(KNOWN_S)
        seen.after += self._send("after", BEFORE)
        seen.redis_after = self._read_redis()

    def _add_ledger(self, since: dt.datetime, quota: int) -> None:
        drill_ledger.add_ledger(self.evidence, self.customer, since, quota)

    def _conclude(self) -> ChaosRun:
        run = self._refresh()
        self.evidence.injected = run.injected
        found = [one.finding(self.evidence) for one in self.scene.drill.expectations]
        verdict = "passed" if all(one["holds"] for one in found) else "failed"
        samples = [self._sample(*one) for one in self.points]
        ChaosRun.objects.filter(pk=run.pk).update(samples=samples)
        chaos_runs.finish(run.pk, RunState.COMPLETED, verdict=verdict, findings=found)
        return self._refresh()

    def _send(self, phase: str, count: int, **options: Any) -> list[DrillAnswer]:
        options.setdefault("pause_s", PAUSE_S)
        answers = asyncio.run(self.traffic.send(count, **options))
        self._note(phase, answers)
        return answers

    def _note(self, phase: str, answers: list[DrillAnswer]) -> None:
        self.points.append((timezone.now().isoformat(), phase, answers))

    def _sample(
        self, at: str, phase: str, answers: list[DrillAnswer]
    ) -> dict[str, Any]:
        """A point of the run's charts."""
        ids = {one.request_id for one in answers}
        slowest = sorted(one.ms for one in answers)
        cost = sum(
            (self.evidence.costs.get(one, Decimal(0)) for one in ids), Decimal(0)
        )
        return {
            "at": at,
            "phase": phase,
            "requests": len(answers),
            "errors": sum(not one.ok for one in answers),
            "p95_ms": round(slowest[int(len(slowest) * 0.95)]),
            # Of one request on average, as of experiments.
            "cost_usd": float(cost / len(answers)),
            "injected": len(ids & self.evidence.met),
        }

    def _submit(self) -> str:
        body = {
            "model": self.scene.model.name,
            "messages": [{"role": "user", "content": f"Name a river. {time.time()}"}],
            "max_tokens": self.scene.drill.max_tokens,
        }
        new = submission.NewJob("completion", JobCall("chat", body), tags=(TAG,))
        job = submission.submit_job(owner_of_customer(self.customer), new)
        return str(job.pk)

    def _read_redis(self) -> str:
        found = asyncio.run(read_readiness(self.scene.url))
        return str(found.get("checks", {}).get("redis", ""))

    def _wait(self, seconds: float) -> None:
        """Raises DrillStopped."""
        time.sleep(seconds)
        self._check_active()

    def _check_active(self) -> None:
        """Raises DrillStopped once somebody has ended the run."""
        if self._refresh().state not in (RunState.RUNNING, RunState.RECOVERING):
            raise DrillStopped

    def _refresh(self) -> ChaosRun:
        run = self.run
        if run is None:
            raise RuntimeError("It has not begun.")
        _again(run.refresh_from_db)
        return run


def _again(work: Callable[[], T]) -> T:
    """Run `work`, once more if the database ended our session: that may be the drill."""
    try:
        return work()
    except OperationalError:
        connection.close()
        time.sleep(1)
        return work()


def run_drill(
    name: str, *, by: Person, model: str = "", say: Say = lambda line: None
) -> ChaosRun:
    """Run a drill, and return its run with findings and verdict; it takes minutes.

    Raises RunRefused.
    """
    scene = prepare_drill(name, by=by, model=model)
    with open_traffic(scene) as (customer, traffic):
        evidence = Evidence(scene.routes)
        return DrillRun(scene, by, say, customer, traffic, evidence).carry_out()


def prepare_drill(name: str, *, by: Person, model: str = "") -> Scene:
    """What the drill would meet, and at what cost; nothing is sent. Raises RunRefused."""
    if name not in DRILLS:
        known = ", ".join(DRILLS)
        raise DrillImpossible(f"There is no drill '{name}'. There are: {known}.")
    if why := checks.check_person(by) or checks.check_forbidden():
        raise DrillImpossible(why)
    return set_scene(DRILLS[name], model)
