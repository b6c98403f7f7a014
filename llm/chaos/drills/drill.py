"""What a drill is: a fault, the requests around it, and what is expected of the gateway."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from llm.chaos.chaos_runs import RunRefused
from llm.chaos.drills.drill_traffic import DrillAnswer
from llm.models.chaos import FaultKind


class DrillImpossible(RunRefused):
    """The drill cannot be run here and now; its text says why and what helps."""


@dataclass(frozen=True, slots=True)
class DrillRoute:
    """One route of the model that is asked."""

    provider: str
    upstream_model: str


@dataclass(slots=True)
class Evidence:
    """What was seen of a drill, for its expectations."""

    routes: Sequence[DrillRoute]
    before: list[DrillAnswer] = field(default_factory=list)
    during: list[DrillAnswer] = field(default_factory=list)
    after: list[DrillAnswer] = field(default_factory=list)
    # From the end of the fault until the first route answered again; None: it did not.
    recovery_s: float | None = None
    # What each request cost at the providers, by its id, in USD; and those that met a fault.
    costs: Mapping[str, Decimal] = field(default_factory=dict)
    met: frozenset[str] = frozenset()
    # Requests whose call of the first route failed.
    tried_first: int = 0
    # What the ledger has of the drill's requests.
    billed: int = 0
    failed_cost: bool = False
    quota_used: int = 0
    drift: bool = False
    # What /health/ready said of Redis, during and after.
    redis: str = ""
    redis_after: str = ""
    injected: int = 0
    jobs: Mapping[str, str] = field(default_factory=dict)
    job_bills: Mapping[str, int] = field(default_factory=dict)
    jobs_lost: int = 0
    workers_left: int = 0
    # The operational flag that forbids other providers is in force.
    fallback_off: bool = False

    @property
    def primary(self) -> str:
        return self.routes[0].provider

    @property
    def answers(self) -> list[DrillAnswer]:
        return [*self.before, *self.during, *self.after]

    @property
    def answered(self) -> int:
        return sum(one.ok for one in self.answers)


# What was seen, and whether it is as expected.
Judgement = tuple[bool, str]


@dataclass(frozen=True, slots=True)
class Expectation:
    """A sentence of docs/OPERATIONS.md, and the check that it holds."""

    text: str
    judge: Callable[[Evidence], Judgement]

    def __str__(self) -> str:
        return self.text

    def finding(self, evidence: Evidence) -> dict[str, Any]:
        """The row of the report."""
        holds, seen = self.judge(evidence)
        return {"expected": self.text, "seen": seen, "holds": holds}


@dataclass(frozen=True, slots=True)
class Drill:
    """A rehearsal of one failure. `needs_routes` is how many providers it takes."""

    name: str
    title: str
    description: str
    fault: FaultKind
    expectations: tuple[Expectation, ...]
    steps: tuple[str, ...]
    # 'primary': the first provider, 'all': every provider; '': no call of a provider.
    meets: str = ""
    needs_routes: int = 1
    requests: int = 20
    at_once: int = 1
    stream: bool = False
    max_tokens: int = 8
    needs_workers: int = 0

    @property
    def requests_at_most(self) -> int:
        """Requests and jobs that it sends at most, before, during and after."""
        return BEFORE + self.requests + AFTER_MOST


# Requests before the fault, and at most after it.
BEFORE, AFTER_MOST = 5, 200
