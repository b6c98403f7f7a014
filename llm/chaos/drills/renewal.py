"""Keeps the lease of a drill's run alive while the drill lives."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections

from llm.chaos import chaos_runs
from llm.models import ChaosRun

# So that a renewal may be late twice.
EVERY_S = settings.CHAOS_LEASE_S / 3


@contextmanager
def renew_lease(run: ChaosRun) -> Iterator[None]:
    """Renew the run's lease in a thread. A drill that is killed so ends its faults."""
    over = threading.Event()
    thread = threading.Thread(target=_renew, args=(run, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _renew(run: ChaosRun, over: threading.Event) -> None:
    try:
        while not over.wait(EVERY_S):
            # The drill itself may have ended this session.
            with suppress(DatabaseError):
                # While it runs, or else while it recovers.
                if not chaos_runs.renew(run.pk):
                    chaos_runs.keep(run.pk)
            connections.close_all()
    finally:
        connections.close_all()
