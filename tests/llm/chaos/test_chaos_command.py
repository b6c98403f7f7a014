"""`manage.py chaos`, also while the database is away."""

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from llm.chaos import chaos_runs, chaos_windows
from llm.models import ChaosRun, ChaosWindow
from llm.models.chaos import RunState
from tests.llm.chaos.rows import make_experiment, make_superuser

NOBODY = "postgresql://ann:hush-hush@127.0.0.1:9/vc"


@pytest.fixture(autouse=True)
def chaos(settings: Any, tmp_path: Path) -> None:
    settings.CHAOS_ENABLED = True
    settings.CHAOS_STOP_FILE = str(tmp_path / "chaos.stop")


def told(*line: str) -> str:
    out = StringIO()
    call_command("chaos", *line, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_command__from_start_to_stop__tells_what_is_active():
    root = make_superuser()
    experiment = make_experiment()
    assert f"{experiment.name}  error       never run" in told("list")
    assert "No run is active." in told("status")
    assert "Stop it with" in told("start", experiment.name, "--as", root.username)
    run = ChaosRun.objects.get()
    assert run.started_by == root
    with pytest.raises(SystemExit) as ended:
        told("status")
    assert ended.value.code == 3
    assert told("stop", experiment.name) == f"Stopped {experiment.name}.\n"
    run.refresh_from_db()
    assert run.state == RunState.STOPPED
    assert "Stopped by a person" in told("list")
    assert told("stop", "--all") == "No run is active.\n"


@pytest.mark.django_db
def test_command__for_who_may_not__refuses():
    root = make_superuser()
    staff = type(root).objects.create_user("somebody", is_staff=True)
    experiment = make_experiment()
    for line, words in (
        (("start", experiment.name, "--as", staff.username), "superuser"),
        (("start", experiment.name, "--as", "nobody"), "no user 'nobody'"),
        (("start", "nothing", "--as", root.username), "no experiment 'nothing'"),
        (("stop", experiment.name), "No run of"),
        (("open", "--hours", "25", "--reason", "x"), "--hours"),
        (("open", "--hours", "1", "--reason", ""), "--reason"),
    ):
        with pytest.raises(CommandError, match=words):
            told(*line)
    assert not ChaosRun.objects.exists()
    assert not ChaosWindow.objects.exists()


@pytest.mark.django_db
def test_command__for_production__opens_and_closes_windows(settings):
    settings.PRODUCTION = True
    assert "manage.py chaos open" in told("status")
    assert "Open until" in told("open", "--hours", "0.5", "--reason", "Game day")
    assert "A window is open until" in told("status")
    assert chaos_windows.is_open()
    assert "Closed 1 window" in told("close")
    assert told("close") == "No window was open.\n"


def manage(tmp_path: Path, *line: str) -> "subprocess.CompletedProcess[str]":
    env = {
        **os.environ,
        "DATABASE_URL": NOBODY,
        "CHAOS_ENABLED": "true",
        "CHAOS_STOP_FILE": str(tmp_path / "chaos.stop"),
    }
    return subprocess.run(
        [sys.executable, "manage.py", "chaos", *line],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_stop_all__without_a_database__writes_the_stop_file(tmp_path):
    ended = manage(tmp_path, "stop", "--all", "--reason", "A real incident")
    assert ended.returncode == 0, ended.stderr
    path = tmp_path / "chaos.stop"
    assert str(path) in ended.stdout
    assert "cannot be reached" in ended.stdout
    assert path.read_text() == "A real incident\n"
    assert "hush" not in ended.stdout + ended.stderr


def test_stop__of_one_without_a_database__names_the_way(tmp_path):
    ended = manage(tmp_path, "stop", "an-experiment")
    assert ended.returncode == 1
    assert "chaos stop --all" in ended.stderr
    assert not (tmp_path / "chaos.stop").exists()


@pytest.mark.django_db
def test_stop__of_another_state__leaves_ended_runs():
    run = chaos_runs.start(make_experiment(), by=make_superuser())
    chaos_runs.finish(run.pk, RunState.COMPLETED, verdict="passed")
    assert chaos_runs.stop_all(by=None, reason="x") == 0
    run.refresh_from_db()
    assert (run.state, run.verdict) == ("completed", "passed")
