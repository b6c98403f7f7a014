"""All checks in one report: bounded, none hides another, also without engines."""

import json
import os
import shutil
import subprocess
import sys
import time
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

from valuecanvas.core.metrics import SNAPSHOT_EPOCH, SNAPSHOT_LOADED
from valuecanvas.core.models import Epoch
from valuecanvas.status import engine_checks, status_report
from valuecanvas.status.status_report import KeptStatus, StatusRow, run_checks
from valuecanvas.status.types import HealthCheck, HealthFinding, HealthState
from valuecanvas.upgrade import pending

NOBODY = "127.0.0.1:9"


def run(**changed: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", "status", "--format", "json"],
        env={**os.environ, **changed},
        capture_output=True,
        text=True,
        check=False,
    )


def states(output: str) -> dict[str, str]:
    return {one["name"]: one["state"] for one in json.loads(output)}


def test_status__database_away__fails_there_and_tells_the_others() -> None:
    ended = run(DATABASE_URL=f"postgresql://ann:hush-hush@{NOBODY}/vc")
    found = states(ended.stdout)
    assert ended.returncode == 1, ended.stderr
    assert (found["database"], found["redis"], found["versions"]) == ("failing", "ok", "ok")  # fmt: skip
    assert {found[name] for name in ("queue", "backups", "migrations")} == {"unknown"}
    assert "DATABASE_URL" in ended.stdout
    assert "hush" not in ended.stdout + ended.stderr


@pytest.mark.django_db
def test_status__redis_away__fails_there_and_tells_the_others(settings: Any) -> None:
    rows = {one.check.name: one.finding for one in run_checks()}
    assert {rows["database"].state, rows["redis"].state, rows["migrations"].state} == {HealthState.OK}  # fmt: skip
    assert "connections" in rows["database"].figure
    assert "in use" in rows["redis"].figure
    assert "free" in rows["disks"].figure
    settings.REDIS_URL = f"redis://{NOBODY}/0"
    settings.CACHES = {
        **settings.CACHES,
        "default": {**settings.CACHES["default"], "LOCATION": settings.REDIS_URL},
    }
    from_nobody = {one.check.name: one.finding for one in run_checks()}
    assert from_nobody["redis"].state is HealthState.FAILING
    assert "REDIS_URL" in from_nobody["redis"].remedy
    assert from_nobody["database"].state is HealthState.OK


def check(name: str, run: Any, needs: str = "") -> HealthCheck:
    return HealthCheck(name, name.title(), run, needs=needs)


def fine() -> HealthFinding:
    return HealthFinding(HealthState.OK, "fine")


def found(*checks: HealthCheck) -> dict[str, tuple[str, str]]:
    return {
        one.check.name: (str(one.finding.state), one.finding.figure)
        for one in run_checks(checks)
    }


@pytest.mark.django_db(transaction=True)
def test_checks__slow_broken_or_without_their_need__hide_no_other() -> None:
    def slow() -> HealthFinding:
        connection.cursor().execute("SELECT pg_sleep(600)")
        return fine()

    def broken() -> HealthFinding:
        raise ZeroDivisionError

    def lost() -> HealthFinding:
        raise OperationalError("host=secret")

    rows = found(
        check("slow", slow), check("broken", broken), check("database", lost),
        check("queue", fine, needs="database"), check("fine", fine), check("none", lambda: None),
    )  # fmt: skip
    assert [state for state, _ in rows.values()] == ["unknown", "unknown", "failing", "unknown", "ok"]  # fmt: skip
    assert rows["slow"][1].startswith("no answer in time")
    assert rows["broken"][1] == "this check failed itself: see the log"
    assert rows["database"][1] == "does not answer (OperationalError)"
    assert rows["queue"][1] == "not checked: the database does not answer"


@pytest.mark.django_db
def test_checks__the_time_is_over__the_rest_is_not_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(status_report, "TOTAL_S", -1)
    assert found(check("late", fine)) == {"late": ("unknown", "not checked: the checks before it took too long")}  # fmt: skip


def test_report__asked_by_many__is_made_once_in_some_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[list[StatusRow]] = []

    def count() -> list[StatusRow]:
        made.append([])
        return made[-1]

    monkeypatch.setattr(status_report, "run_checks", count)
    kept = KeptStatus()
    assert kept.read() is kept.read()
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    kept.read()
    assert len(made) == 2


@pytest.mark.django_db
def test_configuration__of_a_process_that_serves__is_old_or_not() -> None:
    SNAPSHOT_LOADED.set(0)
    assert engine_checks.check_configuration() is None
    Epoch.objects.update_or_create(pk=1, defaults={"value": 7})
    SNAPSHOT_EPOCH.set(7)
    SNAPSHOT_LOADED.set(time.time() - 1000)
    assert engine_checks.check_configuration().state is HealthState.OK
    SNAPSHOT_EPOCH.set(6)
    old = engine_checks.check_configuration()
    SNAPSHOT_LOADED.set(0)
    assert old.state is HealthState.WARNING
    assert old.figure.startswith("epoch 6 of 7")


def test_migrations__not_applied__say_what_to_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pending, "find_names", lambda: ["llm.0099_more"])
    failing = engine_checks.check_migrations()
    assert (failing.state, failing.figure) == (HealthState.FAILING, "1 not applied: llm.0099_more")  # fmt: skip


@pytest.mark.parametrize(
    ("free", "state"), [(50, "ok"), (5, "warning"), (1, "failing")]
)
def test_disks__free_space__is_judged(
    free: int, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gigabytes = (100 << 30, (100 - free) << 30, free << 30)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: gigabytes)
    one = engine_checks.check_disks()
    assert (str(one.state), bool(one.remedy)) == (state, state != "ok")


@pytest.mark.django_db
def test_status__as_a_table__names_every_part(
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        call_command("status")
    except SystemExit as ended:
        assert ended.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} >= {"database", "redis", "queue", "beat"}
