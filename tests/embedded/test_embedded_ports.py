"""The ports of `make run`."""

import os
import socket
from pathlib import Path

import pytest

from valuecanvas.embedded import ports
from valuecanvas.embedded.errors import EngineError
from valuecanvas.embedded.state_files import read_json

NAMES = (
    ports.LOCAL_MODEL,
    ports.DEMO_PROVIDER,
    *ports.PROVIDER_KEYS,
    "LOCAL_MODEL",
    "HOST",
    "PORT",
)


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_claimed__second_time__keeps_the_ports(tmp_path: Path) -> None:
    with ports.claim_ports(tmp_path):
        first = {name: os.environ[name] for name in NAMES[:2]}
    with ports.claim_ports(tmp_path):
        assert {name: os.environ[name] for name in NAMES[:2]} == first
    assert not set(NAMES[:2]) & set(os.environ)
    assert len(set(first.values())) == 2


def test_claimed__a_port_was_taken_since__takes_another(tmp_path: Path) -> None:
    with ports.claim_ports(tmp_path):
        pass
    kept = read_json(tmp_path / "ports.json")
    with (
        socket.create_server(("127.0.0.1", kept[ports.LOCAL_MODEL])),
        ports.claim_ports(tmp_path),
    ):
        now = ports.choose_ports(tmp_path)
    assert now[ports.LOCAL_MODEL] != kept[ports.LOCAL_MODEL]
    assert now[ports.DEMO_PROVIDER] == kept[ports.DEMO_PROVIDER]


def test_claimed__by_another__names_the_remedy(tmp_path: Path) -> None:
    with (
        ports.claim_ports(tmp_path),
        pytest.raises(EngineError, match="already runs"),
        ports.claim_ports(tmp_path),
    ):
        pass


def test_claimed__urls_are_configured__are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ports.LOCAL_MODEL, "http://127.0.0.1:9/v1")
    with ports.claim_ports(tmp_path):
        assert os.environ[ports.LOCAL_MODEL] == "http://127.0.0.1:9/v1"
    assert os.environ[ports.LOCAL_MODEL] == "http://127.0.0.1:9/v1"


def test_known__before_any_make_run__exports_nothing(tmp_path: Path) -> None:
    with ports.use_known_ports(tmp_path):
        assert not set(NAMES[:2]) & set(os.environ)


def test_known__after_make_run__is_what_that_chose(tmp_path: Path) -> None:
    with ports.claim_ports(tmp_path):
        chosen = os.environ[ports.DEMO_PROVIDER]
    with ports.use_known_ports(tmp_path):
        assert os.environ[ports.DEMO_PROVIDER] == chosen


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, True),
        ({"TOGETHER_API_KEY": "k"}, False),
        ({"OPENAI_API_KEY": "k"}, False),
        ({"OPENAI_API_KEY": "k", "LOCAL_MODEL": "on"}, True),
        ({"LOCAL_MODEL": "off"}, False),
    ],
)
def test_local_model_wanted__by_environment__is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    wanted: bool,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with ports.claim_ports(tmp_path):
        assert (ports.LOCAL_MODEL in os.environ) is wanted
        assert ports.DEMO_PROVIDER in os.environ


def test_require_web_port__taken__names_it_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        with pytest.raises(EngineError, match=f"Port {port} on .* make run PORT="):
            ports.require_web_port()
    ports.require_web_port()
