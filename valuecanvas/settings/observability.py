"""Logs as JSON lines on standard error."""

import ipaddress

from django.core.exceptions import ImproperlyConfigured

from valuecanvas import env

LOG_LEVEL = env.choice(
    "LOG_LEVEL", "Least severe log line.", "info", ("debug", "info", "warning", "error")
)
ACCESS_LOG = env.flag(
    "ACCESS_LOG", "One log line for each gateway request.", default=True
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "valuecanvas.core.telemetry.logs.formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL.upper()},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "httpx": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},
    },
}
PROMETHEUS_EXPORT_MIGRATIONS = False
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
