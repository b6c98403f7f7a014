"""CPU and memory of process trees, from a made-up /proc and from the real one."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import measure


def process(proc: Path, pid: int, *, parent: int, ticks: int, megabytes: int) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    fields = ["S", str(parent), *["0"] * 9, *[str(ticks)] * 4, *["0"] * 10]
    (folder / "stat").write_text(f"{pid} (a (b) c) {' '.join(fields)}\n")
    status = f"Name:\tx\nVmHWM:\t{megabytes * 2048} kB\nVmRSS:\t{megabytes * 1024} kB\n"
    (folder / "status").write_text(status)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "self").mkdir()
    process(tmp_path, 10, parent=1, ticks=5, megabytes=10)
    process(tmp_path, 11, parent=10, ticks=50, megabytes=20)
    process(tmp_path, 12, parent=11, ticks=500, megabytes=30)
    process(tmp_path, 20, parent=1, ticks=5000, megabytes=40)
    return tmp_path


def test_tree__grandchildren__are_in_it_and_strangers_are_not(proc: Path) -> None:
    assert sorted(measure.tree([10], proc)) == [10, 11, 12]


def test_cpu_seconds__tree__adds_user_system_and_ended_children(proc: Path) -> None:
    ticks = 4 * (5 + 50 + 500)
    expected = ticks / measure.TICKS_PER_SECOND
    assert measure.cpu_seconds([10], proc) == pytest.approx(expected)


def test_memory__tree__adds_each_process(proc: Path) -> None:
    assert measure.resident_mb([10], proc) == 60
    assert measure.peak_mb([10, 20], proc) == 200


def test_tree__process_that_ended__counts_nothing(proc: Path) -> None:
    assert measure.tree([99], proc) == []
    assert measure.cpu_seconds([99], proc) == 0
    assert measure.peak_mb([99], proc) == 0


def test_cpu_seconds__child_that_worked_and_ended__is_not_lost() -> None:
    before = measure.cpu_seconds([os.getpid()])
    code = "sum(n * n for n in range(2_000_000))"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert measure.cpu_seconds([os.getpid()]) - before >= 0.02


def test_percentile__ranks__are_values_that_were_seen() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert measure.percentile(values, 0.50) == 50
    assert measure.percentile(values, 0.95) == 95
    assert measure.percentile(values, 0.99) == 99
    assert measure.percentile([7.0], 0.01) == 7
    assert math.isnan(measure.percentile([], 0.5))


def test_sync_ms__disk__takes_some_time_each(tmp_path: Path) -> None:
    times = measure.sync_ms(tmp_path, 3)
    assert len(times) == 3
    assert min(times) > 0
