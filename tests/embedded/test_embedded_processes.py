"""Starting, watching and stopping processes."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from valuecanvas.embedded import processes
from valuecanvas.embedded.errors import EngineError
from valuecanvas.embedded.processes import Engine

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(600)"
)
LEASHED = """
import signal, subprocess, sys
from valuecanvas.embedded.processes import die_with_parent
child = subprocess.Popen(
    ["sleep", "600"], preexec_fn=die_with_parent(signal.SIGTERM)
)
print(child.pid, flush=True)
input()
"""


def stubborn() -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, bufsize=0
    )
    assert process.stdout
    process.stdout.readline()
    process.stdout.close()
    return process


def test_free_port__preferred_is_free__is_kept() -> None:
    port = processes.free_port()
    assert processes.free_port(port) == port


def test_free_port__preferred_is_taken__is_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert processes.port_is_taken("127.0.0.1", port)
        assert processes.free_port(port) != port


def test_free_port__any__is_none_that_outgoing_connections_get() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(processes.free_port() < lowest for _ in range(50))


def test_free_port__none_is_free__says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "port_is_taken", lambda host, port: True)
    with pytest.raises(EngineError, match="No free port"):
        processes.free_port()


def test_port_is_taken__free_on_ipv6__is_not() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    assert not processes.port_is_taken("::1", processes.free_port())


def test_is_running__zombie__is_not() -> None:
    process = subprocess.Popen(["sleep", "0"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not processes.is_running(process.pid)
    process.wait()


def test_is_running__another_accounts_process__is() -> None:
    assert processes.is_running(1)


def test_program_of__gone__is_empty() -> None:
    process = subprocess.Popen(["sleep", "0"])
    process.wait()
    assert processes.program_of(process.pid) == ""
    assert not processes.is_running(process.pid)


def test_stop__does_not_obey__is_killed() -> None:
    process = stubborn()
    engine = Engine("it", "url", process.pid, 1, process)
    processes.stop(engine, signal.SIGTERM, seconds=0.1)
    assert process.returncode == -signal.SIGKILL


def test_stop__of_an_earlier_run_and_does_not_obey__is_killed() -> None:
    process = stubborn()
    processes.stop(Engine("it", "url", process.pid, 1), signal.SIGTERM, seconds=0.1)
    assert not processes.is_running(process.pid)
    process.wait()


def test_stop__already_gone__is_fine() -> None:
    process = subprocess.Popen(["sleep", "0"])
    process.wait()
    processes.stop(Engine("it", "url", process.pid, 1), signal.SIGTERM)


def test_engine__repr__hides_the_url_with_its_password() -> None:
    assert "secret" not in repr(Engine("it", "redis://:secret@h/0", 1, 1))


def test_wait_answer__no_answer_in_time__ends_it_and_says_so() -> None:
    process = subprocess.Popen(["sleep", "600"])
    with pytest.raises(EngineError, match="no answer"):
        processes.wait_answer(process, lambda: False, 0.05)
    assert process.returncode is not None


def test_wait_answer__interrupted__leaves_nothing_behind() -> None:
    process = subprocess.Popen(["sleep", "600"])

    def interrupt() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        processes.wait_answer(process, interrupt, 5)
    assert process.returncode is not None


def test_open_log__big__is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "logs" / "it.log"
    monkeypatch.setattr(processes, "LOG_LIMIT", 3)
    for text in (b"old!", b"new"):
        descriptor = processes.open_log(log)
        os.write(descriptor, text)
        os.close(descriptor)
    assert log.read_bytes() == b"new"
    assert (tmp_path / "logs" / "it.log.1").read_bytes() == b"old!"
    assert processes.tail(log, 1) == "ew"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise on Linux")
def test_die_with_parent__parent_is_killed__child_goes_too() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", LEASHED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    assert parent.stdin
    child = int(parent.stdout.readline())
    assert processes.is_running(child)
    parent.kill()
    parent.communicate()
    assert processes.wait_gone(child, 20)
