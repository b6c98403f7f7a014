"""Numbers that come out of JSON as they went in, in every language and database."""

from typing import Any

# What JavaScript's numbers count to; PostgreSQL writes 1e308 with all its zeros.
MOST = 2**53 - 1
REMEDY = f"Numbers are from -{MOST:,} to {MOST:,}; write a larger one as text."


def too_large(value: Any) -> bool:
    """Is there a number in `value` that may not come back? Infinity is one."""
    if isinstance(value, dict):
        return any(map(too_large, value.values()))
    if isinstance(value, list | tuple):
        return any(map(too_large, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return not -MOST <= value <= MOST
