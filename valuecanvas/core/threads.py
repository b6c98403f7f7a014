"""Work that would keep the event loop: in a thread, a piece of work at a time."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
# Larger bodies are not read, looked through or written in one go with all the rest.
LARGE_BYTES = 262_144


async def run_aside(
    large: bool, work: Callable[P, T], *given: P.args, **named: P.kwargs
) -> T:
    """What `work` makes; in a thread where it is `large`: others need not wait."""
    if large:
        return await asyncio.to_thread(work, *given, **named)
    return work(*given, **named)
