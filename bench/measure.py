"""Reads CPU time and memory of a process tree from /proc."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def _stat(pid: int, proc: Path) -> list[str] | None:
    """Fields of /proc/PID/stat after the command name; None if the process has ended."""
    try:
        text = (proc / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name may contain spaces and brackets: cut at the last bracket.
    return text[text.rindex(")") + 2 :].split()


def tree(roots: Sequence[int], proc: Path = PROC) -> list[int]:
    """The running processes among `roots` and their descendants."""
    children: dict[int, list[int]] = {}
    for entry in proc.iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name), proc)):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid for pid in roots if _stat(pid, proc)]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting.extend(children.get(pid, []))
    return found


def cpu_seconds(roots: Sequence[int], proc: Path = PROC) -> float:
    """User and system time of the tree in seconds, with children that have ended."""
    ticks = 0
    for pid in tree(roots, proc):
        if stat := _stat(pid, proc):
            # utime and stime, then those of children that were waited for.
            ticks += sum(int(value) for value in stat[11:15])
    return ticks / TICKS_PER_SECOND


def _status_mb(roots: Sequence[int], label: str, proc: Path) -> float:
    kilobytes = 0
    for pid in tree(roots, proc):
        try:
            lines = (proc / str(pid) / "status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        kilobytes += sum(int(x.split()[1]) for x in lines if x.startswith(label))
    return kilobytes / 1024


def peak_mb(roots: Sequence[int], proc: Path = PROC) -> float:
    """Sum of each process's highest resident memory so far, in MiB."""
    return _status_mb(roots, "VmHWM:", proc)


def resident_mb(roots: Sequence[int], proc: Path = PROC) -> float:
    """Resident memory of the tree now, in MiB."""
    return _status_mb(roots, "VmRSS:", proc)


def threads(roots: Sequence[int], proc: Path = PROC) -> int:
    """Threads of the tree now."""
    return sum(_entries(pid, "task", proc) for pid in tree(roots, proc))


def descriptors(roots: Sequence[int], proc: Path = PROC) -> int:
    """Open file descriptors of the tree now."""
    return sum(_entries(pid, "fd", proc) for pid in tree(roots, proc))


def _entries(pid: int, folder: str, proc: Path) -> int:
    try:
        return len(os.listdir(proc / str(pid) / folder))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def sync_ms(folder: Path, count: int = 100) -> list[float]:
    """Milliseconds of each of `count` synced writes of 8 kB to the disk of `folder`."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(count):
            start = time.perf_counter()
            file.write(bytes(8192))
            file.flush()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - start) * 1000)
    return times
