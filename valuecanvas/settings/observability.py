"""Logs as JSON lines on standard error."""

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
    "formatters": {"json": {"()": "valuecanvas.core.log.formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL.upper()},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "httpx": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},
    },
}
PROMETHEUS_EXPORT_MIGRATIONS = False
