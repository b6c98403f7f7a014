"""Prometheus instruments of flags."""

from prometheus_client import Gauge

LOADED = Gauge(
    "valuecanvas_flags_loaded_timestamp_seconds",
    "When this process last knew its flags to be current, Unix time; of a process "
    "started without a database, when they were saved.",
)
AGE = Gauge(
    "valuecanvas_flags_age_seconds",
    "How long ago this process last knew its flags to be current, at its last use of "
    "them.",
)
