"""Structured logs: one JSON object per line on standard error."""

import datetime as dt
import json
import logging
import sys
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


def _dumps(event: EventDict, **_: Any) -> bytes:
    try:
        return orjson.dumps(event, default=str)
    except TypeError:
        # Lone surrogates, huge numbers: logging must never raise an error.
        return json.dumps(event, default=str).encode()


class StderrLines:
    """Writes each event in one piece to the current standard error."""

    def __init__(self, *args: Any) -> None:
        self.name = args[0] if args else ""

    def msg(self, line: bytes) -> None:
        sys.stderr.write(line.decode("utf-8", "replace") + "\n")

    log = debug = info = warning = error = critical = exception = msg


def _stamp(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """As structlog's own, in a third of the time."""
    event["timestamp"] = dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
    return event


def _name(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    event["logger"] = logger.name
    return event


def configure(level: str) -> None:
    """Set structlog up for this process; `level` is a name such as 'info'."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _name,
            _stamp,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=StderrLines,
        cache_logger_on_first_use=True,
    )


def formatter() -> logging.Formatter:
    """The same form for the standard library's loggers (settings.LOGGING)."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _stamp,
    ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_text),
        ],
    )


def _text(event: EventDict, **_: Any) -> str:
    return _dumps(event).decode()
