"""Prometheus instruments of the gateway. Labels come from the configuration only."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

REQUESTS = Counter(
    "valuecanvas_requests_total",
    "Requests that were admitted.",
    ("endpoint", "model", "provider", "status"),
)
REFUSED = Counter(
    "valuecanvas_refused_total", "Requests that were refused.", ("endpoint", "code")
)
REFUSALS_DROPPED = Counter(
    "valuecanvas_refusals_dropped_total",
    "Refusals of which no trace is kept: too many waited to be written.",
)
REPLAYS_DROPPED = Counter(
    "valuecanvas_replays_dropped_total",
    "Replays of which no row is kept: above REPLAYS_PER_MINUTE, or too many waited.",
)
LATENCY = Histogram(
    "valuecanvas_request_seconds",
    "From the request to the end of its answer.",
    ("endpoint", "provider"),
    buckets=_SECONDS,
)
FIRST_TOKEN = Histogram(
    "valuecanvas_first_token_seconds",
    "From the request to its first content.",
    ("provider",),
    buckets=_SECONDS,
)
TOKENS = Counter(
    "valuecanvas_tokens_total", "Tokens billed.", ("model", "provider", "type")
)
COST = Counter(
    "valuecanvas_cost_micro_usd_total",
    "Charged to callers, in micro-dollars.",
    ("model", "provider"),
)
CACHE_HITS = Counter(
    "valuecanvas_cache_hits_total", "Requests answered from the cache.", ("model",)
)
SAVED = Counter(
    "valuecanvas_saved_micro_usd_total",
    "What cached answers would have cost, in micro-dollars.",
    ("model",),
)
ATTEMPTS = Counter(
    "valuecanvas_attempts_failed_total",
    "Upstream attempts that were not delivered.",
    ("provider", "verdict"),
)
BREAKER = Gauge(
    "valuecanvas_breaker_state",
    "0 closed, 1 half-open, 2 open, as last known to this process.",
    ("provider", "upstream_model"),
)
LIMITS_ALONE = Counter(
    "valuecanvas_limits_alone_total",
    "Requests whose minute limits a process decided by itself, without Redis.",
)
ANSWERS_UNKEPT = Counter(
    "valuecanvas_idempotency_unkept_total",
    "Answers above LLM_IDEMPOTENCY_MAX_BYTES, which are not kept for a replay.",
)
OVERLOADED = Counter(
    "valuecanvas_overloaded_total",
    "Requests refused because the process had LLM_MAX_IN_FLIGHT under way.",
)
PASSED_OVER = Counter(
    "valuecanvas_models_passed_over_total",
    "Requests for which a flag or an experiment named a model that could not answer.",
    ("named_by", "model"),
)
ACTIVE = Gauge("valuecanvas_active_requests", "Admitted requests under way.")
TASKS = Gauge("valuecanvas_asyncio_tasks", "Tasks on this process's event loop.")
