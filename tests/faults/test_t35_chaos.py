"""T35: a runaway experiment, its controller killed or hung, and what others notice."""

import asyncio
import datetime as dt
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.utils import timezone

from llm.chaos import chaos_runs, chaos_windows, controller
from llm.models import Attempt, ChaosExperiment, ChaosRun
from llm.models.chaos import ACTIVE, RunState
from tests.faults import rest
from tests.faults.conftest import Stage
from tests.faults.counts import either
from tests.faults.load import Load, under_load
from tests.faults.rig import Offer, Rig
from tests.faults.traffic import Client, Row
from tests.faults.web import Web, webs
from tests.llm.chaos.rows import make_experiment, make_superuser

RUNAWAYS = either(1, 10)
RATE = either(20.0, 60.0)
ABORT_S = 10.0
GONE_S = 60.0
# A process looks for its leases each second; the machine may be busy.
SLACK_S = 5.0
PATIENCE_S = 180.0
# Of the leases, of process faults and of the controller.
TASKS = 3


@pytest.fixture(scope="module")
def wild(stage: Stage) -> Iterator[list[Web]]:
    """Two processes that may inject faults, the second not started yet."""
    env = {
        **stage.env,
        "REDIS_PREFIX": f"wild-{secrets.token_hex(4)}",
        "JOURNAL_DIR": str(stage.folder / "wild"),
        "CHAOS_ENABLED": "true",
        "CHAOS_STOP_FILE": str(stage.folder / "chaos.stop"),
    }
    with webs([Web(stage.folder, env)]) as running:
        later = Web(stage.folder, env)
        yield [*running, later]
        later.stop()


@pytest.fixture(autouse=True)
def chaos(settings: Any, stage: Stage, rig: Rig, wild: list[Web]) -> Iterator[None]:
    settings.CHAOS_ENABLED = True
    settings.CHAOS_STOP_FILE = str(stage.folder / "chaos.stop")
    yield
    most = {**stage.rest, "tasks": stage.rest["tasks"] + TASKS}
    rest.assert_at_rest(wild, {**most, "memory": 2 * most["memory"]})
    rig.webs = stage.webs


class Drive:
    """Traffic of a target and of somebody else, and the experiment on the target."""

    def __init__(self, rig: Rig, **fields: Any) -> None:
        self.rig = rig
        self.target, self.other = rig.provide("ok-12"), rig.provide("ok-12")
        self.root: User = rig.db(make_superuser)
        self.experiment: ChaosExperiment = rig.db(self._make, fields)
        self._turn = 0

    def _make(self, fields: dict[str, Any]) -> ChaosExperiment:
        values = {
            "providers": self.target.providers,
            "percent": Decimal(100),
            "blast_percent": Decimal(100),
            "ttl_s": 120,
            **fields,
        }
        return make_experiment(**values)

    def make(self, client: Client) -> Callable[[], Awaitable[Row]]:
        """The next request: of the target, then of somebody else."""

        def one() -> Awaitable[Row]:
            self._turn += 1
            offer = self.target if self._turn % 2 else self.other
            return self.rig.ask(client, offer)

        return one

    def start(self) -> ChaosRun:
        run: ChaosRun = self.rig.db(chaos_runs.start, self.experiment, by=self.root)
        return run

    def row(self, run: ChaosRun) -> ChaosRun:
        found: ChaosRun = self.rig.db(ChaosRun.objects.get, pk=run.pk)
        return found

    async def until(
        self, run: ChaosRun, condition: Callable[[ChaosRun], bool]
    ) -> ChaosRun:
        deadline = time.monotonic() + PATIENCE_S
        while not condition(found := await asyncio.to_thread(self.row, run)):
            assert time.monotonic() < deadline, (found.state, found.reason)
            await asyncio.sleep(0.2)
        return found

    def injected(self, run: ChaosRun) -> list[dt.datetime]:
        """When its faults were seen, in order."""
        rows = Attempt.objects.filter(
            injected_by=run.name, created_at__gte=run.started_at
        )
        found: list[dt.datetime] = self.rig.db(
            lambda: list(
                rows.order_by("created_at").values_list("created_at", flat=True)
            )
        )
        return found

    def assert_others_untouched(self, load: Load, offer: Offer | None = None) -> int:
        """How many requests of others there were: all are answered."""
        theirs = [row for row in load.rows if row.model == self.other.model]
        assert theirs
        assert all(row.whole for row in theirs)
        return len(theirs)


def ended(run: ChaosRun) -> bool:
    return run.state not in ACTIVE


async def test_runaway__of_all_calls_of_a_provider__is_aborted_in_ten_seconds(
    rig: Rig, wild: list[Web]
) -> None:
    rig.webs = wild[:1]
    took = []
    for _ in range(RUNAWAYS):
        drive = Drive(rig, most_error_percent=Decimal(50))
        async with Client() as client:
            async with under_load(drive.make(client), RATE) as load:
                await asyncio.sleep(5)
                run = drive.start()
                with pytest.raises(chaos_runs.RunRefused, match="on the same target"):
                    drive.start()
                run = await drive.until(run, lambda one: bool(one.reason))
                await asyncio.sleep(SLACK_S)
            rig.case.runs = f"{RUNAWAYS} runs at {RATE:g} requests/s"
        seen = drive.injected(run)
        rig.case.inject("fault", len(seen))
        assert run.state == RunState.RECOVERING, run.reason
        assert "At most 50% of the requests fail" in run.reason
        took.append((run.ends_at - seen[0]).total_seconds())
        assert took[-1] <= ABORT_S
        assert (seen[-1] - run.ends_at).total_seconds() <= SLACK_S
        drive.assert_others_untouched(load)
        rig.db(chaos_runs.stop, run, by=drive.root, reason="The next one")
    rig.case.figure(
        "from the first fault to the abort, at most, s", round(max(took), 1)
    )
    rig.settled()


async def test_controller__killed_while_faults_are_injected__is_followed_by_another(
    rig: Rig, wild: list[Web]
) -> None:
    """It has no limit to break: it runs until its time, under the second process."""
    rig.webs = wild[1:]
    drive = Drive(
        rig, most_error_percent=Decimal("99.99"), percent=Decimal(20), ttl_s=25
    )
    # The first process has the lock of the controllers.
    wild[1].start()
    async with Client() as client, under_load(drive.make(client), RATE) as load:
        await asyncio.sleep(5)
        run = drive.start()
        run = await drive.until(run, lambda one: one.injected > 0)
        wild[0].kill()
        rig.case.inject("kill -9")
        run = await drive.until(run, lambda one: one.state == RunState.RECOVERING)
        run = await drive.until(run, ended)
    seen = drive.injected(run)
    rig.case.inject("fault", len(seen))
    assert (run.state, run.verdict) == (RunState.COMPLETED, "passed"), run.findings
    assert (seen[-1] - run.ends_at).total_seconds() <= SLACK_S
    assert {one["phase"] for one in run.samples} == {"before", "during", "after"}
    drive.assert_others_untouched(load)
    wild[0].start()


async def test_controller__hung_with_its_lock__leaves_faults_that_end_by_themselves(
    rig: Rig, wild: list[Web]
) -> None:
    """This test is the controller: nobody can follow it while it has the lock."""
    rig.webs = wild[:1]
    for web in wild:
        web.stop()
    # Too few for the breaker, which would end them before the lease does.
    drive = Drive(rig, most_error_percent=Decimal("99.99"), percent=Decimal(20))
    assert rig.db(controller.control)
    wild[0].start()
    async with Client() as client, under_load(drive.make(client), RATE) as load:
        await asyncio.sleep(5)
        run = drive.start()
        assert await asyncio.to_thread(rig.db, controller.control)
        run = await drive.until(run, lambda one: one.injected > 0)
        hung = timezone.now()
        rig.case.inject("hung controller")
        # Its time is not over: the leases alone end it.
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await asyncio.sleep(SLACK_S)
                last = (await asyncio.to_thread(drive.injected, run))[-1]
                if timezone.now() - last > dt.timedelta(seconds=SLACK_S):
                    break
    run = drive.row(run)
    gone = (last - hung).total_seconds()
    rig.case.figure("from the controller's end to the last fault, s", round(gone, 1))
    assert gone <= GONE_S
    assert run.state == RunState.RUNNING
    assert timezone.now() < run.ends_at
    drive.assert_others_untouched(load)
    # A minute later another process has the lock.
    rig.db(
        ChaosRun.objects.filter(pk=run.pk).update,
        lease_until=F("lease_until") - dt.timedelta(seconds=60),
    )
    rig.db(lambda: connection.close())
    run = await drive.until(run, ended)
    assert (run.state, run.verdict) == (RunState.LOST, "failed")


async def test_target__of_all_requests_in_production__is_refused_by_the_cap(
    rig: Rig, settings: Any
) -> None:
    settings.PRODUCTION = True
    drive = Drive(rig, providers=[])
    rig.case.inject("attempt")
    with pytest.raises(chaos_runs.RunRefused, match="manage.py chaos open"):
        drive.start()
    rig.db(chaos_windows.open_window, hours=1, reason="T35", opened_by="the tests")
    with pytest.raises(chaos_runs.RunRefused, match="CHAOS_MOST_PERCENT allows 10%"):
        drive.start()
    rig.db(chaos_windows.close_windows, "the tests")
