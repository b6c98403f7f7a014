"""Background tasks, and how to end them."""

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


class Background:
    """An object with a background task, from `start` to `stop`."""

    _task: "asyncio.Task[None] | None" = None

    async def _run(self) -> None:
        """The task's work; it is cancelled at the end."""
        raise NotImplementedError

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            await end(self._task)
