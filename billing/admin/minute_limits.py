"""The fieldset 'Minute limits', shared by several pages."""

from typing import Any

FIELDS = ("requests_per_minute", "tokens_per_minute", "concurrent_requests")


def minute_limits(empty: str) -> tuple[str, dict[str, Any]]:
    """The fieldset; `empty` says what an empty limit means here."""
    return "Minute limits", {"fields": FIELDS, "description": empty}
