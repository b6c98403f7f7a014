"""The tests' own engines: thrown away whatever happens."""

import os
import subprocess
import sys
from pathlib import Path

from valuecanvas.embedded import processes

START = """
import os
from tests.fixtures_engines import start_engines, stop_engines
engines = start_engines()
started = [one.pid for one in (engines.postgres, engines.valkey) if one]
print(engines.folder, os.environ["DATABASE_URL"], os.environ["REDIS_URL"], *started)
"""
WAIT = "import sys; sys.stdout.flush(); input()"
STOP = "stop_engines(engines); print('DATABASE_URL' in os.environ)"
NAMES = ("PYTEST_XDIST_WORKER", "DATABASE_URL", "REDIS_URL", "TEST_DATABASE_URL", "TEST_REDIS_URL")  # fmt: skip


def run(script: str, temporary: Path, **more: str) -> "subprocess.Popen[str]":
    kept = {name: os.environ[name] for name in os.environ if name not in NAMES}
    return subprocess.Popen(
        [sys.executable, "-c", START + script],
        env={**kept, "TMPDIR": str(temporary), **more},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def first_line(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout
    return process.stdout.readline().split()


def rest(process: "subprocess.Popen[str]") -> str:
    """What follows the first line; `communicate` would miss what is buffered."""
    assert process.stdin
    assert process.stdout
    with process.stdin, process.stdout:
        text = process.stdout.read()
    process.wait()
    return text


def test_engines__stopped__leave_nothing(tmp_path: Path) -> None:
    process = run(STOP, tmp_path)
    folder, *_, postgres, valkey = first_line(process)
    assert rest(process) == "False\n"
    assert folder.startswith(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert not processes.is_running(int(postgres))
    assert not processes.is_running(int(valkey))


def test_engines__run_fails__leave_nothing(tmp_path: Path) -> None:
    process = run("raise SystemExit(3)", tmp_path)
    process.communicate()
    assert process.returncode == 3
    assert list(tmp_path.iterdir()) == []


def test_engines__run_is_killed__next_run_sweeps_up(tmp_path: Path) -> None:
    process = run(WAIT, tmp_path)
    folder, *_, postgres, valkey = first_line(process)
    process.kill()
    process.communicate()
    if sys.platform == "linux":
        assert processes.wait_gone(int(postgres), 20)
        assert processes.wait_gone(int(valkey), 20)
    assert Path(folder).exists()
    run(STOP, tmp_path).communicate()
    assert list(tmp_path.iterdir()) == []


def test_engines__another_run_is_on__is_not_swept(tmp_path: Path) -> None:
    process = run(WAIT, tmp_path)
    folder = first_line(process)[0]
    run(STOP, tmp_path).communicate()
    assert Path(folder, "lock").exists()
    process.communicate("\n")


def test_engines__urls_are_given__are_used(tmp_path: Path) -> None:
    process = run(
        STOP,
        tmp_path,
        TEST_DATABASE_URL="postgresql://somewhere/db",
        TEST_REDIS_URL="redis://somewhere/1",
    )
    assert first_line(process)[1:] == [
        "postgresql://somewhere/db",
        "redis://somewhere/1",
    ]
    process.communicate()


def test_engines__in_a_worker__are_the_controllers(tmp_path: Path) -> None:
    process = run(
        STOP,
        tmp_path,
        PYTEST_XDIST_WORKER="gw0",
        DATABASE_URL="postgresql://somewhere/db",
        REDIS_URL="redis://somewhere/1",
    )
    assert first_line(process) == [
        "None",
        "postgresql://somewhere/db",
        "redis://somewhere/1",
    ]
    assert rest(process) == "True\n"
