"""Times the ledger's transactions by their number of items, on a real PostgreSQL.

Run by bench/scaling.py in a process with Django's settings.
"""

from __future__ import annotations

import json
import statistics
import time

from billing.ledger import Admit, Admitted, Charge, Limit, Party, Settle
from billing.ledger.connection import connect
from billing.ledger.ledger import BatchWriter
from valuecanvas.core.db import epoch
from valuecanvas.core.ids import uuid7

SIZES = (1, 10, 50, 200, 1000)
CUSTOMERS = 1000
FACTS = {"user_id": "u", "model": "m", "endpoint": "chat", "trace_id": "", "routes": []}
LIMITS = (Limit("g:", "day", 10**15),)


def measure(rounds: int = 15) -> None:
    """Print the median milliseconds of a transaction of each size, as JSON."""
    parties = [Party(uuid7(), f"team-{one % 4}") for one in range(CUSTOMERS)]
    now, writer = epoch.current(), BatchWriter()
    found: dict[int, float] = {}
    with connect() as connection:
        for size in SIZES:
            took = []
            for turn in range(rounds):
                admits = [
                    Admit(
                        uuid7(),
                        parties[(turn + one) % CUSTOMERS],
                        10**9,
                        LIMITS,
                        1000,
                        now,
                        60.0,
                        FACTS,
                    )  # fmt: skip
                    for one in range(size)
                ]
                started = time.perf_counter()
                held = writer.commit(connection, admits)
                settles = [
                    Settle(one, {**FACTS, "routes": None}, now, Charge(cost=500))
                    for one in held
                    if isinstance(one, Admitted)
                ]
                writer.commit(connection, settles)
                took.append((time.perf_counter() - started) * 1000 / 2)
            found[size] = statistics.median(took)
    print(json.dumps(found))
