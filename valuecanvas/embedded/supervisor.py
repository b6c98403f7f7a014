"""Web, worker, local model and demo provider as one group, under honcho."""

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
    """The named lines of the Procfile, so that both ways of starting stay one."""
    lines = parse_procfile(procfile.read_text(encoding="utf-8")).processes
    return {name: lines[name] for name in names}


def kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


class _LeashedPopen(Popen):  # type: ignore[misc]
    """A child that is told to end when the supervisor is killed."""

    def __init__(self, command: str, **options: Any) -> None:
        # `exec`: the shell must not stand between us and the process.
        super().__init__(
            f"exec {command}", preexec_fn=die_with_parent(signal.SIGTERM), **options
        )
        threading.Thread(target=self._end_group, daemon=True).start()

    def _end_group(self) -> None:
        """What a child leaves behind would keep its pipe open and hide its end."""
        self.wait()
        kill_group(self.pid)


class _LeashedProcess(Process):  # type: ignore[misc]
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._child_ctor = _LeashedPopen

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        # honcho's own process between us and the child; it holds nothing.
        die_with_parent(signal.SIGKILL)()
        super().run(events, ignore_signals)


class Supervisor(Manager):  # type: ignore[misc]
    """Runs until one of its processes ends or a signal comes; then none is left.

    `optional` names those whose end is only reported. `started` runs in a thread
    beside the loop once all are started; `ending` is set when the end begins.
    """

    def __init__(
        self,
        *,
        optional: frozenset[str],
        say: Callable[[str], None],
        started: Callable[["Supervisor"], None],
    ) -> None:
        super().__init__()
        self._process_ctor = _LeashedProcess
        self._optional = optional
        self._say = say
        self._started = started
        self._reported: set[str] = set()
        self._end_by: float | None = None
        self.ending = threading.Event()
        self.culprit: str | None = None

    def run(self) -> int:
        """Run to the end; 0 when that was asked for, else 1."""
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        try:
            self.loop()
        finally:
            self.ending.set()
            self._kill_groups()
        if self.culprit is None and self.returncode in STOPPED:
            return 0
        return 1

    def has_ended(self, name: str) -> bool:
        return name in self._reported

    def terminate(self) -> None:
        if not self.ending.is_set():
            self.ending.set()
            self._end_by = time.monotonic() + GRACE_SECONDS
        # Before that there are no process ids yet; the loop calls again.
        if self._all_started():
            super().terminate()

    def kill(self) -> None:
        """honcho would kill after 5 s; the web process has streams to finish."""
        if self._end_by and time.monotonic() > self._end_by:
            super().kill()

    def _start(self) -> None:
        super()._start()
        # Only now: forking while a thread runs is asking for trouble.
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
            # honcho took its code for the group's.
            self.returncode = None
            self._say(f"{name} is not running (code {code}); the rest goes on.")
        elif self.culprit is None:
            self.culprit = name
            self._say(f"{name} ended by itself (code {code}): stopping the rest.")

    def _kill_groups(self) -> None:
        """No grandchild outlives us: each child leads a group of its own."""
        for process in self._processes.values():
            if pid := process.get("pid"):
                kill_group(pid)
