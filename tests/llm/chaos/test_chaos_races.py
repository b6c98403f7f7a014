"""Starts, stops and a database that hangs, at once."""

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from llm.chaos import chaos_runs, steady_state, supervision
from llm.models import ChaosRun
from llm.models.chaos import ACTIVE, RunState
from tests.fixtures_billing import make_route
from tests.llm.chaos.rows import make_experiment, make_requests, make_superuser

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 10
AT_ONCE = 4


@pytest.fixture(autouse=True)
def chaos(settings: Any, tmp_path: Path) -> None:
    settings.CHAOS_ENABLED = True
    settings.CHAOS_STOP_FILE = str(tmp_path / "chaos.stop")


def at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    """Each in a thread with a connection of its own: its result, or how it was refused."""
    ready = Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        try:
            connection.ensure_connection()
            ready.wait()
            return act()
        except chaos_runs.RunRefused as refusal:
            return str(refusal)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def test_start__several_at_once_on_one_target__starts_one():
    root = make_superuser()
    route = make_route()
    made = [make_experiment(route) for _ in range(AT_ONCE)]
    for _ in range(ROUNDS):
        found = at_once([partial(chaos_runs.start, one, by=root) for one in made])
        started = [one for one in found if isinstance(one, ChaosRun)]
        assert len(started) == 1
        told = [one for one in found if isinstance(one, str)]
        assert all("on the same target" in one for one in told)
        assert ChaosRun.objects.filter(state__in=ACTIVE).count() == 1
        assert chaos_runs.stop_all(by=root, reason="next round") == 1


def test_stop__while_the_controller_ends_it__happens_once():
    root = make_superuser()
    for _ in range(ROUNDS):
        run = chaos_runs.start(make_experiment(), by=root)
        found = at_once(
            [
                partial(chaos_runs.stop, run, by=root, reason="by a person"),
                partial(
                    chaos_runs.finish, run.pk, RunState.REFUSED, reason="no traffic"
                ),
                partial(chaos_runs.finish, run.pk, RunState.LOST, reason="nobody"),
            ]
        )
        assert sorted(found) == [False, False, True]


def test_watch__of_a_database_that_hangs__ends_the_faults(monkeypatch):
    """What nobody can measure does not go on."""
    route = make_route()
    make_requests(40, model=route.model_id, ago_s=20)
    run = chaos_runs.start(make_experiment(route), by=make_superuser())
    supervision.advance(run, timezone.now())
    run.refresh_from_db()
    monkeypatch.setattr(steady_state, "TIMEOUT_MS", 100)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE llm_usage IN ACCESS EXCLUSIVE MODE")
            supervision.advance(run, timezone.now() + dt.timedelta(seconds=1))
            cursor.execute("ROLLBACK")
    finally:
        other.close()
    run.refresh_from_db()
    assert run.state == RunState.RECOVERING
    assert "could not be measured" in run.reason
