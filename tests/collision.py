"""Two who write the same at once, one of them a moment earlier."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from django.db import connection, transaction

# Of a busy machine.
PATIENCE = 60.0


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


@contextmanager
def faster(act: Callable[[], object]) -> Iterator[None]:
    """Somebody has done `act` but not committed it before somebody else waits for it.

    So whoever asks inside if it is there already finds nothing, and then collides.
    """
    done = threading.Event()

    def hold() -> bool:
        try:
            with transaction.atomic():
                act()
                done.set()
                until = time.monotonic() + PATIENCE
                while not (waits := _somebody_waits()) and time.monotonic() < until:
                    time.sleep(0.005)
            return waits
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(hold)
        assert done.wait(PATIENCE)
        yield
        assert held.result(), "nobody collided"
