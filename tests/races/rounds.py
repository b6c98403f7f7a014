"""How often the races are run, and twins of the ledger with a guard taken off."""

import os
import threading
from collections.abc import Sequence

import psycopg

from billing.ledger import Admit
from billing.ledger.counter_keys import keys
from billing.ledger.decide import decide
from billing.ledger.ledger import BatchWriter
from billing.ledger.types import Answer, Books, Item, LockedCounter

ROUNDS = int(os.environ.get("RACE_ROUNDS", "100"))

READ = """
SELECT key, used, spent, reserved, (SELECT value FROM core_epoch WHERE id = 1), now()
FROM billing_counter WHERE key = ANY(%s) ORDER BY key
"""


class Careless(BatchWriter):
    """Reads the counters in one transaction, and writes them in another.

    The first batches of two such writers meet between the two, as may happen in
    production.
    """

    meeting: threading.Barrier

    def commit(
        self, connection: psycopg.Connection, items: Sequence[Item]
    ) -> list[Answer]:
        with connection.cursor() as cursor:
            self._lock(cursor, items)
            cursor.execute("ROLLBACK")
            cursor.execute(READ, [keys(items, self.today)])
            rows = cursor.fetchall()
            counters = {row[0]: LockedCounter(*row[1:4]) for row in rows}
            books = Books(epoch=rows[0][4], at=rows[0][5], rows=counters)
            answers, writes = decide(items, books)
            if any(isinstance(item, Admit) for item in items):
                self.meeting.wait()
            cursor.execute("BEGIN")
            self._write(cursor, writes)
        return answers
