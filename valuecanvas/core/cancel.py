"""Cancels a background task and waits until it has ended."""

import asyncio
from typing import Any

AGAIN_S = 0.1


async def end(task: "asyncio.Task[Any]") -> None:
    """Cancel `task` until it has ended.

    Once is not always enough: redis-py, where it is cancelled while it connects, may
    take the cancellation for its own time limit and go on.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN_S)
