"""SIGTERM: not ready at once, streams get their time, then the end in band."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.live.server import LiveServer, live_server
from tests.live.shared import offered, said
from tests.live.wire import OpenStream, wire_events
from tests.live.world import Answer, World, unique

pytestmark = pytest.mark.live

# uvicorn ends itself by the signal that it was sent, once all is done.
IN_GOOD_ORDER = {0, -signal.SIGTERM}
Start = Callable[..., AbstractContextManager[LiveServer]]


@pytest.fixture
def start(server_env: dict[str, str], tmp_path: Path, world: World) -> Start:
    """Starts a gateway that `world` then talks to; settings as keywords."""

    @contextmanager
    def started(**env: str) -> Iterator[LiveServer]:
        own = {"JOURNAL_DIR": str(tmp_path), "REDIS_PREFIX": unique("draining")}
        with live_server(tmp_path, {**server_env, **own, **env}) as server:
            world.port = server.port
            yield server

    return started


def in_good_order(server: LiveServer) -> None:
    assert server.process.wait(60) in IN_GOOD_ORDER
    assert "Traceback" not in server.log


def test_sigterm__stream_under_way__is_finished_while_others_go_elsewhere(
    world: World, start: Start
) -> None:
    served = world.serve("drip@50ms:50")
    with (
        start(SHUTDOWN_GRACE_S="4") as server,
        OpenStream(world, served.model) as stream,
    ):
        stream.event_with(b'"content":"')
        server.process.send_signal(signal.SIGTERM)
        while server.status("/health/ready") == 200:
            pass
        # The load balancer has not noticed yet.
        answer = world.request("/health/ready", key="")
        assert (answer.status, answer.json["status"]) == (503, "draining")
        assert server.status("/health/live") == 200
        with offered(world) as offer:
            assert said(offer.ask())
        assert b"[DONE]" in stream.everything()
        in_good_order(server)
        assert server.status("/health/live") == 0
    row = world.usage(stream.request_id)
    assert (row.status, row.error_code) == ("ok", "")
    assert world.reserved() == 0


def test_sigterm__stream_longer_than_its_time__ends_in_band_and_is_billed(
    world: World, start: Start
) -> None:
    served = world.serve("drip@50ms:400")
    times = {"SHUTDOWN_GRACE_S": "0.1", "SHUTDOWN_STREAMS_S": "0.5"}
    with start(**times) as server, OpenStream(world, served.model) as stream:
        stream.event_with(b'"content":"')
        server.process.send_signal(signal.SIGTERM)
        body = stream.everything()
        in_good_order(server)
    error = wire_events(body)[-1]["error"]
    assert error["code"] == "server_shutdown"
    assert error["request_id"] == stream.request_id
    assert b"[DONE]" not in body
    row = world.usage(stream.request_id)
    assert (row.status, row.error_code) == ("interrupted", "server_shutdown")
    assert 0 < row.completion_tokens <= world.attempt(stream.request_id).tokens
    assert row.cost_usd > 0
    assert world.reserved() == 0
    assert '"count":1' in server.log


def test_sigterm__whole_call_under_way__is_answered(world: World, start: Start) -> None:
    with offered(world, "slow@700ms") as offer, start() as server:
        found: list[Answer] = []
        asking = threading.Thread(target=lambda: found.append(offer.ask()))
        asking.start()
        while not offer.calls:
            pass
        server.process.send_signal(signal.SIGTERM)
        asking.join()
        in_good_order(server)
    assert said(found[0])
    assert world.reserved() == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_sigterm__and_again__does_not_wait_for_the_grace(
    start: Start, second: signal.Signals
) -> None:
    with start(SHUTDOWN_GRACE_S="60") as server:
        server.process.send_signal(signal.SIGTERM)
        while server.status("/health/ready") == 200:
            pass
        server.process.send_signal(second)
        assert server.process.wait(60) in {0, -second}
