"""A worker's metrics, on a port of its own: for those who may read /metrics."""

import ipaddress
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection

import pytest
from pytest_django import Settings
from structlog.testing import capture_logs

from valuecanvas.core.telemetry.metrics_server import start_metrics_server
from valuecanvas.embedded.processes import free_port

TOKEN = "the-token-of-a-scraper"


@pytest.fixture
def port() -> Iterator[int]:
    found = free_port()
    server = start_metrics_server(found)
    assert server is not None
    yield found
    server.shutdown()
    server.server_close()


def get(port: int, **headers: str) -> tuple[int, bytes]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", "/metrics", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_server__asked_from_this_machine__has_all_but_the_database(port: int) -> None:
    status, text = get(port)
    assert status == 200
    assert b"valuecanvas_batch_wait_seconds_count" in text
    assert b"valuecanvas_jobs_oldest_seconds" not in text
    accept = "application/openmetrics-text;version=1.0.0"
    assert get(port, Accept=accept)[1].endswith(b"# EOF\n")


def test_server__token_is_set__that_alone_counts(port: int, settings: Settings) -> None:
    settings.METRICS_TOKEN = TOKEN
    for wrong in ("", "Bearer wrong", f"Basic {TOKEN}"):
        assert get(port, Authorization=wrong) == (401, b"")
    status, text = get(port, Authorization=f"Bearer {TOKEN}")
    assert (status, b"# HELP" in text) == (200, True)


def test_server__address_is_none_of_the_networks__tells_nothing(
    port: int, settings: Settings
) -> None:
    settings.METRICS_NETWORKS = [ipaddress.ip_network("10.0.0.0/8")]
    assert get(port) == (401, b"")


@pytest.mark.parametrize("path", ["/metrics", "/" + "a" * 70_000])
def test_server__stranger_asks__tells_no_version(
    port: int, settings: Settings, path: str
) -> None:
    settings.METRICS_TOKEN = TOKEN
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status in (401, 414)
        assert answer.headers["Server"] == "valuecanvas"


def test_server__port_is_taken__is_logged_and_the_worker_works_on(port: int) -> None:
    with capture_logs() as logs:
        assert start_metrics_server(port) is None
    [line] = logs
    assert (line["event"], line["port"]) == ("metrics.port_taken", port)
