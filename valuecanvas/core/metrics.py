"""Prometheus instruments of the kernel."""

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
