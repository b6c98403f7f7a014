"""Replaces personal data and secrets in texts by the name of their kind."""

from valuecanvas.core.telemetry.redaction.redact import (
    redact,
    redact_event,
    redact_value,
)

__all__ = ["redact", "redact_event", "redact_value"]
