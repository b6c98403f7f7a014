"""Prometheus instruments of the gateway. Names of models and providers are bounded."""

from prometheus_client import Counter, Gauge

from valuecanvas.core.telemetry.bounded_metrics import (
    BoundedCounter,
    BoundedGauge,
    BoundedHistogram,
)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

REQUESTS = BoundedCounter(
    "valuecanvas_requests_total",
    "Requests that were admitted.",
    ("endpoint", "model", "provider", "status"),
)
REFUSED = BoundedCounter(
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
LATENCY = BoundedHistogram(
    "valuecanvas_request_seconds",
    "From the request to the end of its answer.",
    ("endpoint", "provider"),
    buckets=_SECONDS,
    most=10,
)
FIRST_TOKEN = BoundedHistogram(
    "valuecanvas_first_token_seconds",
    "From the request to its first content.",
    ("provider",),
    buckets=_SECONDS,
    most=8,
)
TOKENS = BoundedCounter(
    "valuecanvas_tokens_total", "Tokens billed.", ("model", "provider", "type")
)
COST = BoundedCounter(
    "valuecanvas_cost_micro_usd_total",
    "Charged to callers, in micro-dollars.",
    ("model", "provider"),
)
CACHE_HITS = BoundedCounter(
    "valuecanvas_cache_hits_total", "Requests answered from the cache.", ("model",)
)
SAVED = BoundedCounter(
    "valuecanvas_saved_micro_usd_total",
    "What cached answers would have cost, in micro-dollars.",
    ("model",),
)
ATTEMPTS = BoundedCounter(
    "valuecanvas_attempts_failed_total",
    "Upstream attempts that were not delivered; verdict 'injected': a chaos experiment did it.",
    ("provider", "verdict"),
    most=44,
)
BREAKER = BoundedGauge(
    "valuecanvas_breaker_state",
    "0 closed, 1 half-open, 2 open, as last known to this process.",
    ("provider", "upstream_model"),
    most=44,
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
PASSED_OVER = BoundedCounter(
    "valuecanvas_models_passed_over_total",
    "Requests for which a flag or an experiment named a model that could not answer.",
    ("named_by", "model"),
    most=40,
)
CHAOS_RUNS = Counter(
    "valuecanvas_chaos_runs_total",
    "Changes of the state of chaos runs, by the new state.",
    ("state",),
)
CHAOS_FAULTS = BoundedCounter(
    "valuecanvas_chaos_faults_total",
    "Faults that chaos experiments and drills injected.",
    ("experiment", "fault"),
    most=40,
)
ACTIVE = Gauge("valuecanvas_active_requests", "Admitted requests under way.")
TASKS = Gauge("valuecanvas_asyncio_tasks", "Tasks on this process's event loop.")

# Names, units and label names of OpenTelemetry's conventions for generative AI, as
# Prometheus spells them; fewer of the buckets that these advise.
_GEN_AI = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
GEN_AI_TOKENS = BoundedHistogram(
    "gen_ai_client_token_usage",
    "Input and output tokens of a request to a provider.",
    (*_GEN_AI, "gen_ai_token_type"),
    buckets=(64, 256, 1024, 4096, 16384, 65536),
    most=20,
)
GEN_AI_DURATION = BoundedHistogram(
    "gen_ai_client_operation_duration_seconds",
    "A request to providers, from its arrival to the end of its answer.",
    (*_GEN_AI, "error_type"),
    buckets=(0.16, 0.64, 1.28, 2.56, 5.12, 10.24, 40.96),
    most=16,
)
GEN_AI_FIRST_CHUNK = BoundedHistogram(
    "gen_ai_client_operation_time_to_first_chunk_seconds",
    "From a streamed request's arrival to its first content.",
    _GEN_AI,
    buckets=(0.08, 0.16, 0.32, 0.64, 1.28, 5.12),
    most=12,
)
# What the conventions call an error that has no name.
GEN_AI_OTHER_ERROR = "_OTHER"
