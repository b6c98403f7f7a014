"""manage.py as a person runs it: with nothing configured."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from valuecanvas.embedded import launch, processes
from valuecanvas.embedded.state_files import read_json

ROOT = Path(__file__).resolve().parents[2]
# Whatever these hold must not reach the commands: they are to bring their own.
CONFIGURED = (
    "DATABASE_URL",
    "REDIS_URL",
    "CELERY_BROKER_URL",
    "TOGETHER_API_KEY",
    "OPENAI_API_KEY",
    "LOCAL_MODEL_URL",
    "DEMO_PROVIDER_URL",
    "PORT",
)
SHOW = (
    "from django.conf import settings as s; from django.db import connection as c;"
    "k = c.cursor(); k.execute('SELECT 7'); print('answer', k.fetchone()[0], s.REDIS_URL)"
)


def environment(var: Path, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in os.environ if name not in CONFIGURED}
    return {
        **kept,
        "VALUECANVAS_ENV": "embedded",
        "VALUECANVAS_VAR": str(var),
        **dict.fromkeys(CONFIGURED, ""),
        **more,
    }


def manage(
    *arguments: str, var: Path, **more: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(var, **more),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("", False),
        ("help", False),
        ("help migrate", False),
        ("--version", False),
        ("migrate --help", False),
        ("migrate -h", False),
        ("check --deploy", False),
        ("local_model --port 1", False),
        ("migrate", True),
        ("up", True),
        ("shell -c 1", True),
    ],
)
def test_needs_engines__command_line__is(line: str, needed: bool) -> None:
    assert launch.needs_engines(["manage.py", *line.split()]) is needed


def test_manage__command_without_a_database__starts_nothing(var: Path) -> None:
    done = manage("help", var=var)
    assert done.returncode == 0, done.stderr
    assert not (var / "postgres").exists()


def test_manage__plain_command__brings_engines_and_stops_them(var: Path) -> None:
    done = manage("shell", "-v0", "-c", SHOW, var=var)
    assert "answer 7 redis://:" in done.stdout, done.stderr
    assert not (var / "engines.json").exists()
    postmaster = var / "postgres" / "cluster" / "data" / "postmaster.pid"
    assert (var / "postgres" / "engine.json").exists()
    assert not postmaster.exists()


def test_manage__command_fails__engines_are_stopped(var: Path) -> None:
    done = manage("shell", "-v0", "-c", "raise SystemExit(3)", var=var)
    assert done.returncode == 3
    assert not (var / "engines.json").exists()


def test_manage__sigterm__engines_are_stopped(var: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "shell", "-v0", "-c",
         "import time; print('up', flush=True); time.sleep(600)"],
        cwd=ROOT,
        env=environment(var),
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    known = read_json(var / "engines.json")
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert not processes.is_running(known["database_pid"])
    assert not processes.is_running(known["redis_pid"])


def test_manage__both_urls_are_configured__starts_nothing(var: Path) -> None:
    urls = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL")}
    done = manage("shell", "-v0", "-c", SHOW, var=var, **urls)
    assert f"answer 7 {urls['REDIS_URL']}" in done.stdout, done.stderr
    assert not (var / "postgres").exists()
    assert not (var / "valkey").exists()


def test_manage__only_the_database_is_configured__brings_the_store(var: Path) -> None:
    url = os.environ["DATABASE_URL"]
    done = manage("shell", "-v0", "-c", SHOW, var=var, DATABASE_URL=url)
    assert "answer 7 redis://:" in done.stdout, done.stderr
    assert not (var / "postgres").exists()
    assert (var / "valkey").exists()


def test_manage__bad_value__refuses_in_one_line(var: Path) -> None:
    done = manage("up", var=var, PORT="eighty")
    assert done.returncode == 1
    assert done.stderr == (
        "ValueCanvas cannot start: PORT must be a whole number from 1 to 65535.\n"
    )


def test_manage__up_on_a_taken_port__refuses_before_it_starts_anything(
    var: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = manage("up", var=var, PORT=str(port))
    assert done.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken" in done.stderr
    assert not (var / "postgres").exists()


def test_manage__folder_cannot_be_used__names_the_remedy(var: Path) -> None:
    (var / "file").write_text("")
    done = manage("migrate", var=var / "file")
    assert done.returncode == 1
    assert "ValueCanvas cannot start: The data folder" in done.stderr
    assert "VALUECANVAS_VAR" in done.stderr
    assert "Traceback" not in done.stderr
