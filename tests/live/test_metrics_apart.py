"""The metrics of a worker, and those of a gateway whose database is away."""

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.faults.workers import WorkerProcess
from tests.live.server import live_server
from tests.live.world import World
from valuecanvas.embedded.processes import free_port

pytestmark = pytest.mark.live


def test_worker__port_for_metrics__tells_what_it_did(
    world: World, server_env: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    env = {**server_env, "WORKER_METRICS_PORT": str(port)}
    worker = WorkerProcess(tmp_path, env, "metrics", application="valuecanvas")

    def read() -> str | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                found = str(answer.read().decode())
        except urllib.error.URLError:
            return None
        # Its gateway is started a little later.
        return found if "valuecanvas_redis_up 1.0" in found else None

    worker.start()
    try:
        text = world.eventually(read)
    finally:
        worker.kill()
    assert "valuecanvas_active_requests 0.0" in text
    assert "valuecanvas_redis_up 1.0" in text
    assert "valuecanvas_job_workers" not in text


def test_gateway__database_is_away__all_other_metrics_are_whole(
    world: World, server_env: dict[str, str], tmp_path: Path
) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    env = {**server_env, "DATABASE_URL": url}
    with live_server(tmp_path, env, wait_for="/health/live") as running:
        world.port = running.port
        text = world.metrics()
    assert "valuecanvas_redis_up 1.0" in text
    assert "process_cpu_seconds_total " in text
    assert "\nvaluecanvas_jobs_dead " not in text
