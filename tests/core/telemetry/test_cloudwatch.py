"""Log lines in CloudWatch: moto's server speaks its API on a port of its own."""

import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import structlog
from moto.server import ThreadedMotoServer

from tests.core.telemetry.test_log_lines import level as level
from valuecanvas.core.telemetry import cloudwatch, logs
from valuecanvas.core.telemetry.cloudwatch import DROPPED, CloudWatchLines
from valuecanvas.embedded.processes import free_port

GROUP, STREAM = "gateway", "one"
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "of-a-test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def sink(endpoint: str, level: None) -> Iterator[CloudWatchLines]:
    """The handler that settings.LOGGING would make, on the root logger."""
    yield from attached(endpoint)


def attached(endpoint: str) -> Iterator[CloudWatchLines]:
    made = CloudWatchLines(GROUP, STREAM, endpoint)
    made.name = logs.CLOUDWATCH
    made.setFormatter(logs.formatter())
    logging.root.addHandler(made)
    logs.configure("info")
    yield made
    logging.root.removeHandler(made)
    logs.configure("info")
    made.close()


def stored(endpoint: str) -> list[str]:
    client: Any = boto3.client("logs", endpoint_url=endpoint)
    found = client.get_log_events(logGroupName=GROUP, logStreamName=STREAM)
    return [one["message"] for one in found["events"]]


def test_lines__of_both_kinds_of_loggers__come_redacted(
    endpoint: str, sink: CloudWatchLines
) -> None:
    structlog.get_logger("a").info("it.happened", about="ann@example.com")
    logging.getLogger("b").warning("of %s", "ann@example.com")
    sink.flush()
    first, second = stored(endpoint)
    assert '"event":"it.happened"' in first
    assert '"event":"of [email]"' in second
    assert "ann@" not in first + second


def test_lines__cloudwatch_away__are_counted_and_nobody_waits(
    level: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloudwatch, "SEND_EVERY_S", 0)
    before = DROPPED._value.get()
    for sink in attached(f"http://127.0.0.1:{free_port()}"):
        structlog.get_logger("a").info("it.happened")
        deadline = time.monotonic() + PATIENCE_S
        while DROPPED._value.get() == before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sink.queues
    assert DROPPED._value.get() > before
    assert "cloudwatch.failed" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:Timed out while delivering logs")
def test_lines__more_than_may_wait__are_dropped(
    level: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloudwatch, "MOST_WAITING", 3)
    monkeypatch.setattr(cloudwatch, "SEND_EVERY_S", 0)
    monkeypatch.setattr(CloudWatchLines, "FLUSH_TIMEOUT", 0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(PATIENCE_S)
        before = DROPPED._value.get()
        for _ in attached(f"http://127.0.0.1:{silent.getsockname()[1]}"):
            log = structlog.get_logger("a")
            log.info("is.sent")
            # Its thread waits for an answer from now on.
            with silent.accept()[0]:
                for _ in range(10):
                    log.info("it.happened")
                assert DROPPED._value.get() == before + 7
