"""Prometheus metrics of the core app."""

import time

from prometheus_client import Counter, Gauge, Histogram

BATCH_SIZE = Histogram(
    "valuecanvas_batch_items",
    "Admissions and settlements in one group commit.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
BATCH_WAIT = Histogram(
    "valuecanvas_batch_wait_seconds",
    "Longest wait in the queue before a group commit began.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
)
BATCH_FAILED = Counter(
    "valuecanvas_batch_failed_total",
    "Group commits that failed for the database's state: class of SQLSTATE, lost, unreached.",
    ("reason",),
)
BATCH_REDUCED = Counter(
    "valuecanvas_batch_reduced_total",
    "Settlements that the database took only without a part, such as the kept answer.",
)
BATCH_GIVEN_UP = Counter(
    "valuecanvas_batch_given_up_total",
    "Settlements that the database refused in every form: see the log.",
)
BATCH_THREADS = Counter(
    "valuecanvas_batch_threads_replaced_total",
    "Threads of the group commit that died and were replaced.",
)
STORE_UP = Gauge(
    "valuecanvas_redis_up",
    "1 while Redis serves the hot path, 0 while it is passed by.",
)
STORE_SLOW = Counter(
    "valuecanvas_redis_slow_total", "Redis operations that failed or passed the limit."
)
SNAPSHOT_EPOCH = Gauge(
    "valuecanvas_config_epoch", "Epoch of the configuration that this process runs on."
)
SNAPSHOT_LOADED = Gauge(
    "valuecanvas_config_loaded_timestamp_seconds",
    "When this process last knew its configuration to be current, Unix time.",
)
TRACES_EXPORTED = Counter(
    "valuecanvas_traces_exported_total", "Traces that the collector took."
)
TRACES_DROPPED = Counter(
    "valuecanvas_traces_dropped_total",
    "Kept traces that were not delivered: queue_full, collector, unfit.",
    ("reason",),
)
SNAPSHOT_AGE = Gauge(
    "valuecanvas_config_age_seconds",
    "How long ago this process last knew its configuration to be current; 0 before.",
)


def note_snapshot(at: float) -> None:
    """Tell that the configuration was current at the Unix time `at`."""
    SNAPSHOT_LOADED.set(at)
    SNAPSHOT_AGE.set_function(lambda: max(0.0, time.time() - at))
