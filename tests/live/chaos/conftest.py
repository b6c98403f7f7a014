"""A gateway with chaos experiments switched on."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from llm.chaos.plan import FaultPlan
from llm.models.chaos import ChaosRun, RunState
from tests.fixtures_billing import unique
from tests.live.server import LiveServer, live_server
from tests.live.world import Answer, World
from tests.llm.chaos.runs import make_run


@pytest.fixture(scope="session")
def stop_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stop") / "chaos.stop"


@pytest.fixture(scope="session")
def server(
    server_env: dict[str, str],
    stop_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LiveServer]:
    """In place of the one that all other live tests share."""
    env = {
        **server_env,
        "REDIS_PREFIX": f"chaos-{server_env['REDIS_PREFIX']}",
        "CHAOS_ENABLED": "true",
        "CHAOS_STOP_FILE": str(stop_file),
    }
    with live_server(tmp_path_factory.mktemp("chaos"), env) as running:
        yield running


@dataclass
class Chaos:
    """Begins and ends runs as their controller does; there is none here."""

    world: World
    begun: list[ChaosRun] = field(default_factory=list)
    threads: ThreadPoolExecutor = field(default_factory=ThreadPoolExecutor)

    def begin(self, fault: str, *, lease_s: float = 600, **fields: Any) -> ChaosRun:
        """A run of this fault, once the gateway injects it."""
        for name in ("providers", "model_names", "endpoints"):
            fields[name] = frozenset(fields.get(name, ()))
        plan = FaultPlan(fault, **fields)
        run = self.world.db(
            make_run,
            plan,
            name=unique("exp"),
            lease_s=lease_s,
            ttl_s=900,
            is_drill=True,
        )
        self.begun.append(run)
        self.wait_for("chaos.lease_began", run)
        return run

    def end(self, run: ChaosRun) -> None:
        """Stop a run, until the gateway injects it no more."""
        rows = ChaosRun.objects.filter(pk=run.pk)
        self.world.db(lambda: rows.update(state=RunState.STOPPED))
        self.wait_for("chaos.lease_ended", run)

    def later(self, call: Callable[[], Answer]) -> "Future[Answer]":
        """The answer of a call that is made meanwhile."""
        return self.threads.submit(call)

    def reached(self, answer: Answer, number: int) -> bool:
        """Whether an attempt of a request reached a provider."""
        name = f"{answer.headers['x-request-id']}.{number}"
        return any(one.attempt == name for one in self.world.demo.attempts())

    def end_all(self) -> None:
        keys = [run.pk for run in self.begun]
        rows = ChaosRun.objects.filter(pk__in=keys)
        self.world.db(lambda: rows.update(state=RunState.STOPPED))

    def wait_for(self, event: str, run: ChaosRun) -> None:
        """Wait until the gateway has logged an event of a run."""
        self.world.eventually(lambda: self.logged(event, run))

    def logged(self, event: str, run: ChaosRun) -> list[str]:
        lines = self.world.server_log().splitlines()
        return [one for one in lines if event in one and str(run.pk) in one]

    def injected(self, run: ChaosRun, count: int) -> int:
        """How many faults the run has had, once these are `count`."""
        row = ChaosRun.objects.filter(pk=run.pk, injected__gte=count)
        values = row.values_list("injected", flat=True)
        found: int = self.world.eventually(values.first)
        return found


@pytest.fixture
def chaos(world: World) -> Iterator[Chaos]:
    made = Chaos(world)
    yield made
    made.end_all()


def only(user_id: str) -> tuple[dict[str, Any], ...]:
    """The condition that meets one customer alone."""
    return ({"attribute": "user_id", "operator": "equals", "value": user_id},)
