"""`make run` as its user meets it: the printed lines are all they need."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import openai
import psutil
import psycopg
import pytest

from valuecanvas.embedded import processes
from valuecanvas.embedded.state_files import read_json

from .test_embedded_launch import ROOT, environment, manage

pytestmark = pytest.mark.live


class Run:
    """One `manage.py up`, read up to the line that says how to stop it."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.port = processes.free_port()
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=environment(var, PORT=str(self.port)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.rest = ""
        self.lines: list[str] = []
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("Ctrl-C"):
                return
        self.process.stdout.close()
        self.process.wait()
        raise AssertionError("It never was ready:\n" + "\n".join(self.lines))

    def value_of(self, name: str) -> str:
        found = [line for line in self.lines if line.startswith(f"{name}: ")]
        return found[0].partition(": ")[2] if found else ""

    def family(self) -> list[psutil.Process]:
        """All processes of this run, the engines' with them."""
        known = read_json(self.var / "engines.json")
        heads = [self.process.pid, known["database_pid"], known["redis_pid"]]
        found = [psutil.Process(head) for head in heads]
        return [
            *found,
            *(one for head in found for one in head.children(recursive=True)),
        ]

    def end(self) -> tuple[int, str]:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        if self.process.stdout and not self.process.stdout.closed:
            self.rest, _ = self.process.communicate()
        return self.process.returncode, self.rest


@pytest.fixture
def run(var: Path) -> Iterator[Run]:
    started = Run(var)
    yield started
    started.end()


def rows(var: Path, query: str) -> list[tuple]:
    with psycopg.connect(read_json(var / "engines.json")["database_url"]) as connection:
        return connection.execute(query).fetchall()


def ask(base_url: str, key: str) -> str:
    with openai.OpenAI(base_url=base_url, api_key=key) as client:
        answer = client.chat.completions.create(
            model="demo", messages=[{"role": "user", "content": "Hello"}]
        )
    return answer.choices[0].message.content or ""


def test_up__first_run__printed_lines_work_and_a_second_run_keeps_all(
    run: Run,
) -> None:
    assert "ValueCanvas is ready." in run.lines
    assert run.value_of("Gateway") == f"http://127.0.0.1:{run.port}/v1"
    assert run.value_of("Admin") == f"http://127.0.0.1:{run.port}/admin/"
    key = run.value_of("API key")
    curl = next(line for line in run.lines if line.startswith("  curl "))
    assert key in curl
    answered = subprocess.run(
        [*shlex.split(curl), "-sS"], capture_output=True, text=True, check=True
    )
    assert '"choices"' in answered.stdout, answered.stdout
    assert rows(run.var, "SELECT count(*) FROM llm_usage WHERE cost_usd > 0") == [(1,)]

    name, _, password = run.value_of("Admin login").partition(" / ")
    login = (
        "from django.contrib.auth import authenticate;"
        f"print('user', authenticate(username={name!r}, password={password!r}))"
    )
    assert f"user {name}" in manage("shell", "-v0", "-c", login, var=run.var).stdout

    family = run.family()
    code, rest = run.end()
    assert code == 0, rest
    assert not psutil.wait_procs(family, timeout=60)[1]

    again = Run(run.var)
    try:
        assert again.value_of("Admin login") == again.value_of("API key") == ""
        assert any("make credentials" in line for line in again.lines)
        assert ask(again.value_of("Gateway"), key)
        assert rows(run.var, "SELECT count(*) FROM llm_usage") == [(2,)]
        issued = manage("credentials", var=run.var).stdout
        found = re.search(r"^API key: (\S+)$", issued, re.MULTILINE)
        assert found
        assert "Admin login: admin / " in issued
        assert ask(again.value_of("Gateway"), found.group(1))
    finally:
        again.end()


def test_up__whole_tree_is_killed__next_run_loses_nothing(run: Run) -> None:
    key = run.value_of("API key")
    assert ask(run.value_of("Gateway"), key)
    family = run.family()
    for process in family:
        with suppress(psutil.NoSuchProcess):  # the end of its parent was its own
            process.kill()
    run.end()
    assert not psutil.wait_procs(family, timeout=60)[1]
    again = Run(run.var)
    try:
        assert rows(run.var, "SELECT count(*) FROM llm_usage") == [(1,)]
        assert ask(again.value_of("Gateway"), key)
    finally:
        again.end()


def command_line(process: psutil.Process) -> list[str]:
    """Its arguments; none of a command that has just ended."""
    with suppress(psutil.NoSuchProcess):
        return [*process.cmdline()]
    return []


def test_up__children_are_killed__only_the_local_model_can_be_missed(
    run: Run,
) -> None:
    family = run.family()
    web = next(one for one in family if "uvicorn" in command_line(one))
    models = [one for one in family if "local_model" in command_line(one)]
    assert run.process.stdout
    if models:
        models[0].kill()
        for line in run.process.stdout:
            if line.startswith("local_model is not running"):
                break
    assert ask(run.value_of("Gateway"), run.value_of("API key"))

    os.kill(web.pid, signal.SIGKILL)
    run.process.wait()
    code, rest = run.end()
    assert code == 1
    assert "web ended by itself" in rest
    assert not psutil.wait_procs(family, timeout=60)[1]
    assert not processes.port_is_taken("127.0.0.1", run.port)
