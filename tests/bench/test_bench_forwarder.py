"""The forwarder, LiteLLM's configuration and the programs the bench starts."""

import json
import os
from pathlib import Path

import pytest

from bench import drive, peer, run, servers
from bench.plan import FULL, Load, Sizes
from bench.servers import Program


def test_running__forwarder__relays_status_and_body(tmp_path: Path) -> None:
    core = servers.cores().around
    with (
        servers.run_server(servers.upstream(), core) as upstream,
        servers.run_server(servers.floor(upstream.url), core) as floor,
    ):
        straight, relayed = drive.learn_answers(upstream), drive.learn_answers(floor)
        assert straight == relayed
        assert floor.cpu_seconds() > 0
        assert floor.peak_mb() > 5


def test_measure__forwarder__fills_every_figure(tmp_path: Path) -> None:
    core = servers.cores().around
    small = Sizes(warm_up=4, rounds=2, miss=8, stream=4, rate=80, seconds=0.1)
    with (
        servers.run_server(servers.upstream(), core) as upstream,
        drive.generator(core) as generator,
    ):
        bench = drive.Bench(generator, small, drive.learn_answers(upstream))
        found = bench.measure(upstream, (upstream,))
    assert set(found.cost) == {"miss", "stream"}
    assert set(found.latency) == {"miss", "stream", "first content"}
    assert set(found.cost["miss"].beside) == {"upstream"}
    assert found.wrong == 0
    # 2 to look for a cache; then warm-up, two rounds and the open loop of each kind.
    assert found.answered == 2 + (4 + 2 * 8 + 8) + (4 + 2 * 4 + 1)


def test_generator__that_died__is_an_error(tmp_path: Path) -> None:
    with drive.generator(servers.cores().around) as generator:
        broken = Load("no url", (), "miss", "ok", "", 0, 1)
        with pytest.raises(RuntimeError, match="ended"):
            generator.run(broken)


def test_running__program_that_ends__shows_its_log(tmp_path: Path) -> None:
    code = "print('no such option')"
    program = Program("broken", ["python3", "-c", code], "/")
    started = servers.run_server(program, servers.cores().around)
    with pytest.raises(servers.NotStartedError, match="no such option"), started:
        pass


def test_pinned__inside__only_these_cores() -> None:
    before = os.sched_getaffinity(0)
    wanted = servers.cores().around
    with servers.pin_to_cores(wanted):
        assert os.sched_getaffinity(0) == wanted
    assert os.sched_getaffinity(0) == before


def test_cores__told__names_the_placement() -> None:
    apart = servers.Cores(frozenset({0}), frozenset({1}))
    assert "alone on core 0" in apart.description
    shared = servers.Cores(frozenset({0}), frozenset({0}))
    assert "no core of its own" in shared.description


def test_peer__program__points_every_model_at_the_upstream(tmp_path: Path) -> None:
    program = peer.program("http://127.0.0.1:5", ("ok", "ok-31"), tmp_path)
    config = json.loads((tmp_path / "litellm.yaml").read_text())
    routes = {one["model_name"]: one["litellm_params"] for one in config["model_list"]}
    assert set(routes) == {"ok", "ok-31"}
    assert routes["ok"]["api_base"] == "http://127.0.0.1:5/v1"
    assert config["general_settings"]["master_key"] == program.keys[0]
    assert "DATABASE_URL" not in program.env


def test_clean_environment__settings_of_the_caller__are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/db")
    assert "DATABASE_URL" not in servers.clean_environment()


def test_main__unknown_server__is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.main(["--only", "gateway,nginx"])
    assert "unknown servers: nginx" in capsys.readouterr().err


def test_sizes__times__more_misses_and_streams_alone() -> None:
    more = FULL.times(3)
    assert (more.miss, more.stream) == (FULL.miss * 3, FULL.stream * 3)
    assert more.seconds == FULL.seconds
