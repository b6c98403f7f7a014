"""Runs web server, worker, local model and demo provider as one group, with honcho."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.process import Popen, Process

from valuecanvas.embedded.processes import die_with_parent

# The web process may take 35 s to let its streams end.
GRACE_SECONDS = 45.0
STOPPED = (130, 143)


def commands(procfile: Path, names: list[str]) -> dict[str, str]:
    """The commands of these names in the Procfile."""
    lines = parse_procfile(procfile.read_text(encoding="utf-8")).processes
    return {name: lines[name] for name in names}


def kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


class _ChildPopen(Popen):  # type: ignore[misc]
    """A child that gets SIGTERM when the supervisor is killed."""

    def __init__(self, command: str, **options: Any) -> None:
        # `exec`: no shell process between us and the child.
        super().__init__(
            f"exec {command}", preexec_fn=die_with_parent(signal.SIGTERM), **options
        )
        threading.Thread(target=self._end_group, daemon=True).start()

    def _end_group(self) -> None:
        """Kill the child's group after its end: grandchildren would keep its pipe open."""
        self.wait()
        kill_group(self.pid)


class _ChildProcess(Process):  # type: ignore[misc]
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._child_ctor = _ChildPopen

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        # This is honcho's process between us and the child.
        die_with_parent(signal.SIGKILL)()
        super().run(events, ignore_signals)


class Supervisor(Manager):  # type: ignore[misc]
    """Runs processes until one of them ends or a signal arrives, then stops all.

    The end of `optional` ones is only reported. `started` runs in a thread once all are
    started; `ending` is set when stopping begins.
    """

    def __init__(
        self,
        *,
        optional: frozenset[str],
        say: Callable[[str], None],
        started: Callable[["Supervisor"], None],
    ) -> None:
        super().__init__()
        self._process_ctor = _ChildProcess
        self._optional = optional
        self._say = say
        self._started = started
        self._reported: set[str] = set()
        self._end_by: float | None = None
        self.ending = threading.Event()
        self.failed_process: str | None = None

    def run(self) -> int:
        """Run until the end. Returns 0 if it was requested, else 1."""
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        try:
            self.loop()
        finally:
            self.ending.set()
            self._kill_groups()
        if self.failed_process is None and self.returncode in STOPPED:
            return 0
        return 1

    def has_ended(self, name: str) -> bool:
        return name in self._reported

    def terminate(self) -> None:
        if not self.ending.is_set():
            self.ending.set()
            self._end_by = time.monotonic() + GRACE_SECONDS
        # Earlier there are no process ids; the loop calls this again.
        if self._all_started():
            super().terminate()

    def kill(self) -> None:
        """Kill after GRACE_SECONDS, not honcho's 5 s: the web process has open streams."""
        if self._end_by and time.monotonic() > self._end_by:
            super().kill()

    def _start(self) -> None:
        super()._start()
        # Only now: forking while threads run is unsafe.
        threading.Thread(target=self._started, args=(self,), daemon=True).start()

    def _any_stopped(self) -> bool:
        stopped = {
            name
            for name, process in self._processes.items()
            if process.get("returncode") is not None
        }
        for name in stopped - self._reported:
            self._report(name)
        return self.ending.is_set() or bool(stopped - self._optional)

    def _report(self, name: str) -> None:
        self._reported.add(name)
        code = self._processes[name]["returncode"]
        if self.ending.is_set():
            return
        if name in self._optional:
            # honcho set it to this process's code.
            self.returncode = None
            self._say(f"{name} is not running (code {code}); the rest goes on.")
        elif self.failed_process is None:
            self.failed_process = name
            self._say(f"{name} ended by itself (code {code}): stopping the rest.")

    def _kill_groups(self) -> None:
        """Kill all grandchildren: each child leads its own process group."""
        for process in self._processes.values():
            if pid := process.get("pid"):
                kill_group(pid)
