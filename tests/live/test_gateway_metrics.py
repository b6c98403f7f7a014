"""The metrics of a gateway of two processes: what was asked of either is counted once."""

import gzip
import os
import shutil
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_open_metrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.live.server import LiveServer, live_server
from tests.live.world import World
from valuecanvas.core.telemetry.process_metrics import EVERY_S

pytestmark = pytest.mark.live
OPEN_METRICS = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def two(
    server_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A gateway with two workers."""
    folder = tmp_path_factory.mktemp("two")
    with live_server(folder, {**server_env, "WEB_CONCURRENCY": "2"}) as running:
        yield running
    shutil.rmtree(files(running))


def files(server: LiveServer) -> Path:
    """The folder in which its processes write their metrics."""
    return settings.VAR_DIR / "metrics" / f"{socket.gethostname()}-{server.process.pid}"


@pytest.fixture
def gate(world: World, two: LiveServer) -> World:
    world.port = two.port
    return world


def families(world: World, **headers: str) -> list[Metric]:
    answer = world.request("/metrics", key="", **headers)
    assert answer.status == 200
    body = answer.body
    if answer.headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    is_open = answer.headers["content-type"].startswith("application/openmetrics-text")
    return list((parse_open_metrics if is_open else parse_text)(body.decode()))


def count(world: World, name: str, **labels: str) -> float:
    """The sum of a counter's series with these labels."""
    return sum(
        one.value
        for family in families(world)
        for one in family.samples
        if one.name == name and labels.items() <= one.labels.items()
    )


def eventually(look: Callable[[], bool], world: World) -> None:
    """Wait until it is so: another process's figures may be some seconds old."""
    world.eventually(lambda: look() or None)


def workers(server: LiveServer) -> list[int]:
    """The processes that serve; Python's resource tracker is one more child."""
    found = []
    for one in psutil.Process(server.process.pid).children():
        with suppress(psutil.Error):
            if "spawn_main" in " ".join(one.cmdline()):
                found.append(one.pid)
    return found


def requests(world: World, model: str, **labels: str) -> float:
    return count(world, "valuecanvas_requests_total", model=model, **labels)


def test_requests__to_either_of_two_processes__are_added_up(gate: World) -> None:
    served = gate.serve("ok")
    model, [provider] = served.model, served.providers
    for _ in range(20):
        assert gate.chat(model).status == 200
    eventually(lambda: requests(gate, model, status="ok") == 20, gate)
    labels = {"gen_ai_provider_name": provider, "gen_ai_operation_name": "chat"}
    for name, more in (
        ("gen_ai_client_operation_duration_seconds_count", {}),
        ("gen_ai_client_token_usage_count", {"gen_ai_token_type": "output"}),
    ):
        every = partial(count, gate, name, **labels, **more)
        eventually(partial(_is_twenty, every), gate)
    assert count(gate, "valuecanvas_redis_up") == 1


def _is_twenty(counted: Callable[[], float]) -> bool:
    return counted() == 20


def test_processes__one_is_killed__no_count_falls(gate: World, two: LiveServer) -> None:
    model = gate.serve("ok").model
    for _ in range(10):
        assert gate.chat(model).status == 200
    eventually(lambda: requests(gate, model) == 10, gate)
    victim = workers(two)[0]
    os.kill(victim, signal.SIGKILL)
    seen = []

    def is_replaced() -> bool:
        seen.append(requests(gate, model))
        return len({*workers(two)} - {victim}) == 2

    eventually(is_replaced, gate)
    assert gate.chat(model).status == 200
    eventually(lambda: requests(gate, model) == 11, gate)
    # The other one may have had a text of a second ago.
    assert seen == sorted(seen)

    def is_clean() -> bool:
        left = Counter(
            one.suffix for one in files(two).iterdir() if one.stem != "folder"
        )
        # Of the two that live, and of all that have died.
        return left == {".lock": 2, ".json": 3}

    eventually(is_clean, gate)


def test_requests__that_are_refused_or_fail__are_counted_by_reason(
    gate: World,
) -> None:
    def refused(code: str) -> float:
        return count(gate, "valuecanvas_refused_total", endpoint="chat", code=code)

    assert gate.chat("no-such-model").status == 404
    assert gate.request("/v1/chat/completions", b"{").status == 400
    failing = gate.serve("status-500").model
    assert gate.chat(failing).status >= 500
    refusing = gate.serve("status-400:a_word_of_the_provider").model
    assert gate.chat(refusing).status == 400
    throttled = gate.serve("status-429").model
    assert gate.chat(throttled).status == 429
    eventually(lambda: requests(gate, failing, status="error") == 1, gate)
    eventually(lambda: requests(gate, throttled, status="error") == 1, gate)
    eventually(lambda: requests(gate, refusing, status="invalid") == 1, gate)
    eventually(lambda: refused("model_not_found") == 1, gate)
    eventually(lambda: refused("invalid_json") == 1, gate)
    duration = "gen_ai_client_operation_duration_seconds_count"
    eventually(lambda: count(gate, duration, error_type="_OTHER") >= 1, gate)
    text = gate.request("/metrics", key="").body.decode()
    assert "a_word_of_the_provider" not in text


@pytest.mark.parametrize("path", ["/v1/nothing", "/admin/nothing", "/nothing/at/all"])
def test_paths__that_lead_nowhere__become_no_label(gate: World, path: str) -> None:
    for method in ("GET", "PROPFIND"):
        gate.request(path, method=method, key="")
    assert b"nothing" not in gate.request("/metrics", key="").body
    assert b"PROPFIND" not in gate.request("/metrics", key="").body


def test_text__as_a_scraper_wants_it__says_the_same(gate: World) -> None:
    assert EVERY_S < 60
    plain = {one.name for one in families(gate)}
    opened = {one.name for one in families(gate, accept=OPEN_METRICS)}
    packed = {one.name for one in families(gate, accept_encoding="gzip, deflate")}
    assert plain == packed
    assert opened <= {name.removesuffix("_total") for name in plain} | plain
    assert len(opened) == len(plain) > 40
    both = families(gate, accept=OPEN_METRICS, accept_encoding="gzip")
    assert {one.name for one in both} == opened
