"""The engines of one data folder, shared by processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from valuecanvas.embedded import engines, postgres, processes, valkey
from valuecanvas.embedded.engines import ALL, DATABASE, STORE
from valuecanvas.embedded.errors import EngineError
from valuecanvas.embedded.state_files import read_json

USER = """
import sys, pathlib
from valuecanvas.embedded import engines
with engines.run_engines(pathlib.Path(sys.argv[1]), engines.ALL, lambda line: None):
    print("up", flush=True)
    input()
"""


def silent(line: str) -> None:
    pass


class User:
    """Another process that uses the engines of a folder until it is stopped."""

    def __init__(self, var: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(var)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == "up\n"

    def end(self) -> None:
        self.process.communicate("\n")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def alive(pids: dict[str, int]) -> list[bool]:
    return [processes.is_running(pids[f"{kind}_pid"]) for kind in (DATABASE, STORE)]


def test_running__block_ends__nothing_is_left(var: Path) -> None:
    with engines.run_engines(var, ALL, silent):
        known = read_json(var / "engines.json")
        assert alive(known) == [True, True]
        psycopg.connect(known["database_url"]).close()
    assert alive(known) == [False, False]
    assert not (var / "engines.json").exists()


def test_running__block_fails__nothing_is_left(var: Path) -> None:
    known = {}
    with pytest.raises(RuntimeError), engines.run_engines(var, ALL, silent):
        known.update(read_json(var / "engines.json"))
        raise RuntimeError
    assert alive(known) == [False, False]


def test_running__another_process_uses_them__last_one_stops_them(var: Path) -> None:
    lines: list[str] = []
    user = User(var)
    known = read_json(var / "engines.json")
    with engines.run_engines(var, ALL, lines.append):
        assert read_json(var / "engines.json") == known
    assert alive(known) == [True, True]
    assert lines == ["The engines keep running: another process still uses them."]
    user.end()
    assert alive(known) == [False, False]


def test_running__starter_ends_first__the_other_stops_them(var: Path) -> None:
    user = User(var)
    known = read_json(var / "engines.json")
    with engines.run_engines(var, ALL, silent):
        user.end()
        assert alive(known) == [True, True]
        psycopg.connect(known["database_url"]).close()
    assert alive(known) == [False, False]


def test_running__starter_was_killed__engines_are_taken_over(var: Path) -> None:
    user = User(var)
    known = read_json(var / "engines.json")
    user.kill()
    assert alive(known) == [True, True]
    with engines.run_engines(var, ALL, silent) as taken:
        assert [engine.process for engine in taken.running.values()] == [None, None]
        assert read_json(var / "engines.json") == known
    assert alive(known) == [False, False]


def test_running__all_was_killed__starts_anew_with_the_data(var: Path) -> None:
    user = User(var)
    known = read_json(var / "engines.json")
    with psycopg.connect(known["database_url"], autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    user.kill()
    os.kill(known["database_pid"], signal.SIGKILL)
    os.kill(known["redis_pid"], signal.SIGKILL)
    with engines.run_engines(var, ALL, silent):
        url = read_json(var / "engines.json")["database_url"]
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT n FROM kept").fetchall() == [(7,)]


def test_running__two_start_at_once__share_one_pair(var: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", USER, str(var)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in started:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
    known = read_json(var / "engines.json")
    assert alive(known) == [True, True]
    for process in started:
        process.communicate("\n")
        assert process.returncode == 0
    assert alive(known) == [False, False]


def test_running__only_one_wanted__starts_only_that(var: Path) -> None:
    with engines.run_engines(var, frozenset({STORE}), silent):
        known = read_json(var / "engines.json")
        assert set(known) == {"redis_url", "redis_pid"}
        assert postgres.find(var / "postgres") is None
    assert valkey.find(var / "valkey") is None


def test_running__one_cannot_be_had__the_other_is_stopped(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise EngineError("no")

    monkeypatch.setattr(valkey, "start", refuse)
    with pytest.raises(EngineError), engines.run_engines(var, ALL, silent):
        pass
    assert postgres.find(var / "postgres") is None
