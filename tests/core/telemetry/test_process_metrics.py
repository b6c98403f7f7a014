"""The sum of the metrics of several processes. With real ones: tests/live/test_gateway_metrics.py."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from structlog.testing import capture_logs

from valuecanvas.core.telemetry import process_metrics
from valuecanvas.core.telemetry.process_metrics import ProcessMetrics, add_up


class Process:
    """What one process counts, in a registry of its own."""

    def __init__(self, folder: Path) -> None:
        self.registry = CollectorRegistry()
        own = {"registry": self.registry}
        self.asked = Counter("asked", "Help.", ("model",), **own)
        self.waits = Histogram("waits", "Help.", buckets=(1,), **own)
        self.active = Gauge("active", "Help.", **own)
        self.up = Gauge("valuecanvas_redis_up", "Help.", **own)
        self.age = Gauge("valuecanvas_config_age_seconds", "Help.", **own)
        self.files = ProcessMetrics(folder)

    def exchange(self) -> dict[tuple[str, ...], float]:
        """What a scrape of this process says."""
        own: list[Metric] = list(self.registry.collect())
        others = self.files.exchange(own)
        return {
            (one.name, *one.labels.values()): one.value
            for metric in own
            for one in add_up(metric, others).samples
            if not one.name.endswith("_created")
        }

    def die(self) -> None:
        """End without a word: the lock is free."""
        os.close(self.files._held)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Process, Process]:
    one, two = Process(tmp_path), Process(tmp_path)
    one.asked.labels("a").inc(2)
    two.asked.labels("a").inc(3)
    two.asked.labels("b").inc(exemplar={"trace_id": "f00"})
    one.waits.observe(0.5)
    two.waits.observe(2)
    one.active.set(4)
    two.active.set(5)
    one.up.set(1)
    one.age.set(7)
    two.age.set(6)
    return one, two


SUM = {
    ("asked_total", "a"): 5,
    ("asked_total", "b"): 1,
    ("waits_bucket", "1.0"): 1,
    ("waits_bucket", "+Inf"): 2,
    ("waits_count",): 2,
    ("waits_sum",): 2.5,
    ("active",): 9,
    ("valuecanvas_redis_up",): 0,
    ("valuecanvas_config_age_seconds",): 7,
}


def test_add_up__two_processes__say_the_same(pair: tuple[Process, Process]) -> None:
    one, two = pair
    one.exchange()
    assert two.exchange() == SUM
    assert one.exchange() == SUM
    [asked] = one.asked.collect()
    added = add_up(asked, one.files.exchange([]))
    exemplars = [one.exemplar.labels for one in added.samples if one.exemplar]
    assert exemplars == [{"trace_id": "f00"}]


def test_add_up__a_process_died__its_counts_stay_and_its_files_go(
    pair: tuple[Process, Process], tmp_path: Path
) -> None:
    one, two = pair
    two.exchange()
    two.die()
    left = {**SUM, ("active",): 4, ("valuecanvas_redis_up",): 1}
    assert one.exchange() == left
    third = Process(tmp_path)
    third.asked.labels("a").inc()
    third.files.exchange(third.registry.collect())
    third.die()
    assert one.exchange() == {**left, ("asked_total", "a"): 6}
    names = {path.suffix for path in tmp_path.glob("*/*") if path.stem != "folder"}
    locks = [path for path in tmp_path.glob("*/*.lock") if path.stem != "folder"]
    assert (names, len(locks)) == ({".json", ".lock"}, 1)


def test_processes__folder_of_a_server_that_is_long_gone__is_removed(
    tmp_path: Path,
) -> None:
    old = tmp_path / "host-1"
    old.mkdir()
    (old / "dead.json").write_bytes(b"{}")
    fresh = tmp_path / "host-2"
    fresh.mkdir()
    long_ago = time.time() - process_metrics.UNUSED_S - 60
    os.utime(old, (long_ago, long_ago))
    Process(tmp_path).die()
    assert (old.exists(), fresh.exists()) == (False, True)


async def test_processes__time_passes__each_writes_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_metrics, "EVERY_S", 0.01)
    made = ProcessMetrics(tmp_path)
    made.start()
    async with asyncio.timeout(60):
        while not list(tmp_path.glob("*/*.json")):
            await asyncio.sleep(0.01)
    await made.stop()
    made.close()


async def test_processes__folder_cannot_be_written__it_is_logged_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_metrics, "EVERY_S", 0.01)
    made = ProcessMetrics(tmp_path)
    made._folder = tmp_path / "nothing" / "here"
    with capture_logs() as logs:
        made.start()
        async with asyncio.timeout(60):
            while len(logs) < 2:
                await asyncio.sleep(0.01)
        await made.stop()
    assert {one["event"] for one in logs} == {"metrics.not_written"}
    os.close(made._held)
