"""Two who write the same at once, one of them a moment earlier."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from django.db import connection, transaction

# Of a busy machine.
PATIENCE = 60.0
# Not `any lock of the server`: other workers' databases are on it, too.
BLOCKED = "SELECT pg_backend_pid() = ANY(pg_blocking_pids(%s))"


def waits_for_this(pid: int) -> bool:
    """Whether that session waits for this one."""
    with connection.cursor() as cursor:
        cursor.execute(BLOCKED, [pid])
        return bool(cursor.fetchone()[0])


def _own_pid() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@contextmanager
def faster(act: Callable[[], object]) -> Iterator[None]:
    """Somebody has done `act` but not committed it before the one inside waits for it.

    So whoever asks inside if it is there already finds nothing, and then collides.
    """
    done = threading.Event()
    inside = _own_pid()

    def hold() -> bool:
        try:
            with transaction.atomic():
                act()
                done.set()
                until = time.monotonic() + PATIENCE
                while (
                    not (waits := waits_for_this(inside)) and time.monotonic() < until
                ):
                    time.sleep(0.005)
            return waits
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(hold)
        assert done.wait(PATIENCE)
        yield
        assert held.result(), "nobody collided"
