"""The breaker's thresholds, for machine.py and script.lua alike. Times are milliseconds."""

from dataclasses import dataclass

from django.conf import settings

# The window moves on by a tenth at a time.
BUCKETS = 10


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a breaker opens, and for how long; script.lua has them in capitals."""

    buckets: int
    bucket_ms: int
    least_calls: int
    # More than this share of the calls must have failed.
    share: float
    in_a_row: int
    open_ms: int
    billing_ms: int
    most_throttle_ms: int
    # At most this share of the open time is taken off, so that probes spread.
    jitter: float


THRESHOLDS = Thresholds(
    buckets=BUCKETS,
    bucket_ms=settings.BREAKER_WINDOW_S * 1000 // BUCKETS,
    least_calls=settings.BREAKER_LEAST_CALLS,
    share=settings.BREAKER_FAILURE_SHARE,
    in_a_row=settings.BREAKER_FAILURES_IN_A_ROW,
    open_ms=settings.BREAKER_OPEN_S * 1000,
    billing_ms=settings.BREAKER_BILLING_OPEN_S * 1000,
    most_throttle_ms=settings.LLM_MAX_RETRY_AFTER_S * 1000,
    jitter=settings.BREAKER_JITTER,
)
