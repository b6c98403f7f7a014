"""Sends errors to Sentry (settings.SENTRY_DSN), without the data of those whom they hit.

What is not collected cannot leak: no requests, headers, bodies, users, local variables,
breadcrumbs or arguments of tasks; of an event only `KEPT` is sent, and its texts are
redacted. This module and the SDK are imported only where SENTRY_DSN is set.
"""

import sys
import threading
import time
from collections.abc import MutableMapping
from typing import Any, cast

import sentry_sdk
import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from prometheus_client import Counter
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.types import Event, Hint
from sentry_sdk.utils import (
    BadDsn,
    capture_internal_exceptions,
    event_from_exception,
)

from valuecanvas.core.telemetry import redaction, request_context

MOST_A_MINUTE = 30
# At its end a process waits this long for what is not sent yet, in seconds.
FLUSH_S = 1.0
LONGEST_TEXT = 500
SEVERE = {"error": "error", "exception": "error", "critical": "fatal"}
TAGS = ("request_id", "trace_id", "job_id")
KEPT = (
    "event_id", "timestamp", "platform", "level", "logger", "release", "environment",
    "server_name", "sdk", "exception", "logentry", "extra",
)  # fmt: skip
DROPPED = Counter(
    "valuecanvas_errors_dropped_total",
    "Errors not sent to Sentry: a process sends only so many a minute.",
)


class MinuteLimit:
    """Lets `most` pass in a minute, so that a flood of errors costs little."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._minute, self._count = 0, 0

    def take(self) -> bool:
        """Whether one more may pass; if not, it is counted."""
        minute = int(time.monotonic() // 60)
        with self._lock:
            if minute != self._minute:
                self._minute, self._count = minute, 0
            self._count += 1
            passes = self._count <= self._most
        if not passes:
            DROPPED.inc()
        return passes


LIMIT = MinuteLimit(MOST_A_MINUTE)


def start() -> None:
    """Send what this process logs as an error from now on. Raises ImproperlyConfigured."""
    try:
        sentry_sdk.init(
            dsn=settings.SENTRY_DSN,
            environment=settings.ENVIRONMENT,
            release=str(settings.SPECTACULAR_SETTINGS["VERSION"]),
            # The logs have the errors of Django, Celery and all others, so that no
            # integration of theirs is needed, which would also read requests.
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[
                AtexitIntegration(callback=lambda pending, timeout: None),
                DedupeIntegration(),
                ExcepthookIntegration(),
                LoggingIntegration(level=None, sentry_logs_level=None),
            ],
            send_default_pii=False,
            include_local_variables=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            send_client_reports=False,
            auto_session_tracking=False,
            shutdown_timeout=FLUSH_S,
            before_send=scrub,
        )
    except BadDsn:
        # Without the value, and without the SDK's text, which has it.
        raise ImproperlyConfigured(
            "SENTRY_DSN must be as Sentry shows it: https://KEY@HOST/PROJECT."
        ) from None
    # The loggers of structlog write by themselves: the SDK does not see them.
    structlog.get_config()["processors"].insert(0, capture)


def capture(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A processor of structlog: sends what is logged as an error, and changes nothing."""
    if method in SEVERE and LIMIT.take():
        # A log line must not raise.
        with capture_internal_exceptions():
            _send(getattr(logger, "name", ""), SEVERE[method], dict(event))
    return event


def _send(logger: str, level: str, fields: dict[str, Any]) -> None:
    text, error = str(fields.pop("event", "")), _error_of(fields.pop("exc_info", None))
    found: dict[str, Any] = {}
    hint: Hint = {}
    if error is not None:
        mechanism = {"type": "structlog", "handled": True}
        options = sentry_sdk.get_client().options
        # With the hint the SDK knows the same exception again if it is logged twice.
        built, hint = event_from_exception(error, options, mechanism)
        found = {"exception": built["exception"]}
    entry = {"logentry": {"message": text}, "extra": fields}
    found |= {"level": level, "logger": logger, **entry}
    sentry_sdk.capture_event(cast(Event, found), hint)


def _error_of(exc_info: Any) -> BaseException | None:
    """The exception of a log call's `exc_info`: True, an exception or a triple."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return cast("BaseException | None", exc_info[1])
    return sys.exc_info()[1] if exc_info else None


def scrub(event: Event, hint: Hint) -> Event | None:
    """What is sent of an event; None: nothing. If it raises, the SDK drops the event."""
    record = hint.get("log_record")
    if record is not None:
        # Django logs each answer of 5xx; those without an exception are meant.
        if record.name == "django.request" and not record.exc_info:
            return None
        if not LIMIT.take():
            return None
    found: dict[str, Any] = {name: one for name, one in event.items() if name in KEPT}
    extra = {**request_context.current().ids, **found.pop("extra", {})}
    if record is None:
        found["extra"] = redaction.redact_value(extra)
    found["tags"] = {
        name: redaction.redact(str(extra[name])) for name in TAGS if extra.get(name)
    }
    if "logentry" in found:
        entry = found["logentry"]
        texts = {name: _text(entry.get(name)) for name in ("message", "formatted")}
        # Its third part are the arguments, such as those of a task.
        found["logentry"] = {name: text for name, text in texts.items() if text}
    for one in found.get("exception", {}).get("values", ()):
        one["value"] = _text(one.get("value"))
    return cast(Event, found)


def _text(text: Any) -> str:
    """The first line, redacted: the others are often the data, as in PostgreSQL's DETAIL."""
    # Celery's lines have the repr of an exception, with its line ends as escapes.
    line = str(text or "").partition("\n")[0].partition("\\n")[0]
    return redaction.redact(line)[:LONGEST_TEXT]
