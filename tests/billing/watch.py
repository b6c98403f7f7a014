"""Watches, and holds up, the statements of a thread's database connection."""

import threading
from typing import Any

from django.db import connection

from valuecanvas.core.db.db_thread import DbThread


class Watch:
    """Counts statements that name `table`; `hold` stops the next after it has run."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.count = 0
        self._held: threading.Event | None = None
        self._go = threading.Event()

    @classmethod
    async def on(cls, thread: DbThread, table: str) -> "Watch":
        watch = cls(table)
        await thread.run(lambda: connection.execute_wrappers.append(watch))
        return watch

    def __call__(
        self, execute: Any, sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        result = execute(sql, params, many, context)
        if self.table in sql:
            self.count += 1
            if self._held:
                held, self._held = self._held, None
                held.set()
                self._go.wait()
        return result

    def hold(self) -> threading.Event:
        """Set once the next statement has read its rows and waits for `release`."""
        self._held = threading.Event()
        return self._held

    def release(self) -> None:
        self._go.set()
