"""Logs, and who may read metrics."""

import ipaddress
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from valuecanvas import env
from valuecanvas.settings.base import ENVIRONMENT, WEB_SCHEMES

LOG_LEVEL = env.choice(
    "LOG_LEVEL", "Least severe log line.", "info", ("debug", "info", "warning", "error")
)
LOG_FORMAT = env.choice(
    "LOG_FORMAT",
    "json: one object per line; text: for people. Unset: text only if embedded.",
    "text" if ENVIRONMENT == "embedded" else "json",
    ("json", "text"),
)
ACCESS_LOG = env.flag(
    "ACCESS_LOG", "One log line for each request, served or refused.", default=True
)
AUDIT_KEEP_DAYS = env.integer("AUDIT_KEEP_DAYS", "Days that entries of the audit are kept, at least 30; 0: for good.", 0, high=36_500)  # fmt: skip
if 0 < AUDIT_KEEP_DAYS < 30:
    raise ImproperlyConfigured("AUDIT_KEEP_DAYS must be 0, or at least 30.")
CLOUDWATCH_LOG_GROUP = env.text(
    "CLOUDWATCH_LOG_GROUP",
    "Log group of Amazon CloudWatch that gets all log lines too; unset: none.",
)
CLOUDWATCH_LOG_STREAM = env.text(
    "CLOUDWATCH_LOG_STREAM",
    "Log stream; each process needs its own.",
    "{machine_name}/{process_id}",
)
CLOUDWATCH_ENDPOINT_URL = env.url(
    "CLOUDWATCH_ENDPOINT_URL",
    "Endpoint instead of that of AWS_DEFAULT_REGION, such as a VPC endpoint.",
    schemes=("http", "https"),
)
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "lines": {
            "()": "valuecanvas.core.telemetry.logs.formatter",
            "form": LOG_FORMAT,
        },
        "json": {"()": "valuecanvas.core.telemetry.logs.formatter"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL.upper()},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # A refusal has its event already; these lines would have its path.
        "django.request": {"level": "ERROR"},
        "django.security.csrf": {"level": "ERROR"},
        "httpx": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},
        # It warns of each try to reach a receiver that is away.
        "urllib3.connectionpool": {"level": "ERROR"},
        # They would log bodies and credentials at the level debug.
        **{name: {"level": "INFO"} for name in ("boto3", "botocore")},
    },
}
if CLOUDWATCH_LOG_GROUP:
    LOGGING["handlers"]["cloudwatch"] = {
        "class": "valuecanvas.core.telemetry.cloudwatch.CloudWatchLines",
        "formatter": "json",
        "group": CLOUDWATCH_LOG_GROUP,
        "stream": CLOUDWATCH_LOG_STREAM,
        "endpoint": CLOUDWATCH_ENDPOINT_URL,
    }
    LOGGING["root"]["handlers"].append("cloudwatch")
PROMETHEUS_EXPORT_MIGRATIONS = False
# Of pages, in seconds.
PROMETHEUS_LATENCY_BUCKETS = (0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
WORKER_METRICS_PORT = env.integer(
    "WORKER_METRICS_PORT",
    "Port on which a worker serves its own metrics. 0: none.",
    0,
    high=65_535,
)
METRICS_TOKEN = env.text("METRICS_TOKEN", "Bearer token for /metrics and the detail of /api/llm/health; set, it alone counts.")  # fmt: skip
try:
    METRICS_NETWORKS = [
        ipaddress.ip_network(one)
        for one in env.words(
            "METRICS_NETWORKS",
            "Networks that may read them without METRICS_TOKEN, with commas.",
            "127.0.0.0/8,::1/128",
        )
    ]
except ValueError as error:
    raise ImproperlyConfigured(
        "METRICS_NETWORKS must be networks with commas, e.g. 10.0.0.0/8."
    ) from error
SENTRY_DSN = env.url(
    "SENTRY_DSN",
    "Where errors are sent, as Sentry shows it: https://KEY@HOST/PROJECT. Empty: nowhere.",
    schemes=WEB_SCHEMES,
)
GRAFANA_URL = env.url(
    "GRAFANA_URL",
    "Your Grafana, for the link on the admin's Performance page. Empty: no link.",
    schemes=("http", "https"),
)
# What `manage.py slo` and the Performance page compare the figures with.
TARGET_P95_S = env.number("TARGET_P95_S", "Target: 95 % of answers within so many seconds.", 5, low=0.001, high=3600)  # fmt: skip
TARGET_P99_S = env.number("TARGET_P99_S", "Target: 99 % of answers within so many seconds.", 10, low=0.001, high=3600)  # fmt: skip
TARGET_ERROR_PERCENT = env.number("TARGET_ERROR_PERCENT", "Target: fewer requests fail than this, in percent.", 5, low=0.0001, high=100)  # fmt: skip
TARGET_REQUESTS_PER_S = env.number("TARGET_REQUESTS_PER_S", "Target: requests a second that are served when they are asked for.", 100, low=0.01, high=1_000_000)  # fmt: skip
TARGET_CACHE_HIT_PERCENT = env.number("TARGET_CACHE_HIT_PERCENT", "Target: more requests are answered from the cache than this, in percent.", 30, low=0, high=100)  # fmt: skip
TARGET_COST_USD = env.number("TARGET_COST_USD", "Target: a request costs less than this, in USD.", 0.005, low=0.000001, high=1000)  # fmt: skip
OTEL_EXPORTER_OTLP_ENDPOINT = env.url(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "Collector for traces, OTLP over HTTP, without /v1/traces; empty: no traces.",
    schemes=("https", "http"),
)
OTEL_EXPORTER_OTLP_HEADERS = env.pairs(
    "OTEL_EXPORTER_OTLP_HEADERS",
    "Headers for the collector, as in name=value, with commas.",
)
OTEL_SERVICE_NAME = env.text(
    "OTEL_SERVICE_NAME", "Name of this service in traces.", "valuecanvas"
)
TRACE_SAMPLE_RATIO = env.number(
    "TRACE_SAMPLE_RATIO",
    "Share of traces that are kept, 0 to 1; failed and slow ones are kept too.",
    0.1,
    low=0,
    high=1,
)
TRACE_SLOW_S = env.number(
    "TRACE_SLOW_S",
    "A request whose answer begins later than this is slow, in seconds.",
    10,
    low=0.001,
    high=3600,
)
TRACE_URL = env.url(
    "TRACE_URL",
    "Page of a trace, with {trace_id}; the admin links to it.",
    schemes=("https", "http"),
)
if TRACE_URL and "{trace_id}" not in TRACE_URL:
    raise ImproperlyConfigured("TRACE_URL must contain {trace_id}.")
TRACE_PROVIDERS = env.flag(
    "TRACE_PROVIDERS",
    "Send the header traceparent to providers, for those that trace too.",
    default=False,
)
