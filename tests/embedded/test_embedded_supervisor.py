"""The group of processes, run in a process of its own."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from valuecanvas.embedded import processes
from valuecanvas.embedded.supervisor import commands

SUPERVISE = """
import sys
from valuecanvas.embedded import supervisor
from valuecanvas.embedded.supervisor import Supervisor

supervisor.GRACE_SECONDS = float(sys.argv.pop(1))

def say(text):
    print("SAID", text, flush=True)

def started(group):
    say("started")

group = Supervisor(optional=frozenset({"extra"}), say=say, started=started)
for line in sys.argv[1:]:
    name, _, command = line.partition(": ")
    group.add_process(name, command)
code = group.run()
say(f"web gone: {group.has_ended('web')}")
sys.exit(code)
"""
LONG = "sleep 600"


class Group:
    """A supervisor in another process, and what it prints."""

    def __init__(self, *lines: str, grace: str = "45") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISE, grace, *lines],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.text = ""

    def until(self, sign: str) -> str:
        assert self.process.stdout
        for line in self.process.stdout:
            self.text += line
            if sign in line:
                return line
        raise AssertionError(f"{sign} was never said:\n{self.text}")

    def pid_of(self, name: str) -> int:
        line = self.until(f"{name} started (pid=")
        return int(line.rpartition("=")[2].strip().rstrip(")"))

    def end(self) -> tuple[int, str]:
        rest, _ = self.process.communicate()
        return self.process.returncode, self.text + rest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_supervisor__told_to_end__ends_all_and_says_zero(
    number: signal.Signals,
) -> None:
    group = Group(f"web: {LONG}")
    pid = group.pid_of("web")
    group.process.send_signal(number)
    code, text = group.end()
    assert code == 0, text
    assert not processes.is_running(pid)


def test_supervisor__told_to_end_before_all_are_up__ends_all() -> None:
    group = Group(f"web: {LONG}", f"worker: {LONG}", f"extra: {LONG}")
    group.until("started")
    group.process.send_signal(signal.SIGTERM)
    code, text = group.end()
    assert code == 0, text
    assert text.count("stopped (rc=") == 3


def test_supervisor__one_ends_by_itself__takes_all_down_and_names_it() -> None:
    group = Group(f"worker: {LONG}", "web: sh -c 'exit 0'")
    worker = group.pid_of("worker")
    code, text = group.end()
    assert code == 1
    assert "SAID web ended by itself (code 0): stopping the rest." in text
    assert "web gone: True" in text
    assert not processes.is_running(worker)


def test_supervisor__optional_one_ends__goes_on() -> None:
    group = Group(f"web: {LONG}", "extra: sh -c 'exit 69'")
    group.until("SAID extra is not running (code 69); the rest goes on.")
    assert group.process.poll() is None
    group.process.send_signal(signal.SIGTERM)
    code, text = group.end()
    assert code == 0, text
    assert "ended by itself" not in text


def test_supervisor__child_dies_and_leaves_a_grandchild__all_end(
    tmp_path: Path,
) -> None:
    left = tmp_path / "pid"
    group = Group(f"web: sh -c 'sleep 600 & echo $! > {left}; exit 3'")
    code, text = group.end()
    assert code == 1
    assert "SAID web ended by itself (code 3)" in text
    assert processes.wait_gone(int(left.read_text()), 20)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise on Linux")
def test_supervisor__is_killed__children_are_told_to_end() -> None:
    group = Group(f"web: {LONG}")
    pid = group.pid_of("web")
    group.process.kill()
    group.process.communicate()
    assert processes.wait_gone(pid, 20)


def test_supervisor__child_does_not_obey__is_killed_after_the_grace(
    tmp_path: Path,
) -> None:
    stubborn = tmp_path / "stubborn"
    stubborn.write_text("trap '' TERM\necho armed\nwhile :; do sleep 1; done\n")
    group = Group(f"web: sh {stubborn}", grace="0.1")
    group.until("armed")
    group.process.send_signal(signal.SIGTERM)
    code, text = group.end()
    assert code == 0, text
    assert "web stopped (rc=-9)" in text


def test_commands__of_the_procfile__are_the_named_lines(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: a --port $PORT\n# no\nworker: b: c\n")
    assert commands(tmp_path / "Procfile", ["worker"]) == {"worker": "b: c"}
