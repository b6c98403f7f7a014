"""Runs work that would block the event loop in a thread."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
# Larger bodies are parsed and written in a thread.
LARGE_BYTES = 262_144


async def run_aside(
    large: bool, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run `work`; in a thread if it is `large`, so that others need not wait."""
    if large:
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)
