"""A real Prometheus scrapes a gateway: the dashboards have data, and an outage pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from billing.accounting import reconcile
from tests.deploy.test_dashboards import Question, plain, questions
from tests.deploy.tools import find_program
from tests.live.prometheus import Prometheus, prometheus, wait_for
from tests.live.server import live_server
from tests.live.world import Served, World, unique
from tests.otlp import running_collector

pytestmark = pytest.mark.live
# Nothing else runs beside the gateway.
ALWAYS = {"ValueCanvasNoWorker"}
# Metrics of which there is nothing here, and why.
EMPTY = {
    "valuecanvas_alerts_firing": "no worker checks the rules of the console",
    "valuecanvas_backup_age_seconds": "no backup was made",
    "valuecanvas_batch_failed_total": "no commit failed",
    "valuecanvas_errors_dropped_total": "Sentry is off",
    "valuecanvas_traces_dropped_total": "the collector took all traces",
    "node_": "there is no node exporter",
}


TOKEN = "the-token-of-a-scraper"


@pytest.fixture
def scraper(
    server_env: dict[str, str], world: World, tmp_path: Path
) -> Iterator[Prometheus]:
    """Prometheus, and a gateway with a token for it that keeps all traces."""
    find_program("prometheus")
    with running_collector() as collector:
        env = {
            **server_env,
            "METRICS_TOKEN": TOKEN,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "TRACE_SAMPLE_RATIO": "1",
        }
        with (
            live_server(tmp_path, env) as server,
            prometheus(tmp_path, server.port, TOKEN) as running,
        ):
            world.port = server.port
            yield running


def call_well(world: World, served: Served) -> None:
    """A miss, a hit of the cache and a stream."""
    text = unique("Say hello to")
    for _ in range(2):
        assert world.chat(served.model, text).status == 200
    assert world.chat(served.model, stream=True).status == 200


def empty_panels(scraper: Prometheus) -> set[Question]:
    return {
        one
        for one in questions()
        if not any(name in one.expression for name in EMPTY)
        and not scraper.query(plain(one.expression, "10s"))
    }


def test_prometheus__scrapes_a_gateway__dashboards_have_data_and_an_outage_pages(
    world: World, scraper: Prometheus
) -> None:
    world.customer, world.key = world.new_customer(daily_requests=1_000_000)
    well = world.serve("ok")
    world.db(reconcile.run, "test", 1)
    body = {"model": well.model, "messages": [{"role": "user", "content": "Hello"}]}
    assert world.post("/api/llm/jobs", type="completion", body=body).status == 202

    def evaluated() -> bool:
        call_well(world, well)
        return len(scraper.query("valuecanvas:error_ratio:5m")) == 1

    wait_for(evaluated)
    for _ in range(20):
        call_well(world, well)
    # A clean load pages nobody.
    assert scraper.firing() <= ALWAYS

    failing = world.serve("status-500", "ok")
    down = world.serve("status-500")

    def complete() -> bool:
        call_well(world, well)
        # Failover, a provider's error, a refusal, and a page without a right.
        assert world.chat(failing.model).status == 200
        assert world.chat(down.model).status >= 500
        assert world.chat("no-such-model").status == 404
        assert world.request("/api/flags").status in (403, 404)
        return not empty_panels(scraper)

    try:
        wait_for(complete)
    except TimeoutError:
        pytest.fail(f"Without data: {empty_panels(scraper)}")
    # From a point of a latency chart to its trace.
    assert "trace_id" in scraper.exemplar("valuecanvas_request_seconds_bucket")

    def outage() -> bool:
        assert world.chat(down.model).status >= 500
        return "ValueCanvasOutage" in scraper.firing()

    wait_for(outage)
