"""Applies migrations to a database in use, without a queue behind their locks.

A migration that waits for a table's lock makes everybody wait who comes after it. So it
waits two seconds, gives up, and tries again later.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor

from valuecanvas.upgrade.risks import Risks

LOCK_TIMEOUT = "2s"
TRIES = 60
PAUSE_S = 5.0
_OLDEST = """
SELECT pid, date_trunc('second', now() - xact_start)::text FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
ORDER BY xact_start LIMIT 1
"""

Say = Callable[[str], None]


class UpgradeError(Exception):
    """The database could not be brought to this version; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A migration that the database lacks, and what is risky in it."""

    migration: Migration
    risks: list[str]

    @property
    def name(self) -> str:
        return f"{self.migration.app_label}.{self.migration.name}"


def is_empty() -> bool:
    """Whether the database has no tables of ours yet."""
    return not MigrationExecutor(connection).loader.applied_migrations


def find_names() -> list[str]:
    """The names of what the database lacks, without a look at its risks."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{one.app_label}.{one.name}" for one, _ in plan]


def find() -> list[Pending]:
    """What the database lacks, in the order in which it is applied."""
    executor = MigrationExecutor(connection)
    loader = executor.loader
    loader.check_consistent_history(connection)
    applied = [key for key in loader.applied_migrations if key in loader.graph.nodes]
    risks = Risks(loader.project_state(applied))
    plan = executor.migration_plan(loader.graph.leaf_nodes())
    return [
        # Nobody uses an empty database.
        Pending(migration, risks.find(migration) if applied else [])
        for migration, _ in plan
    ]


def apply(pending: Sequence[Pending], say: Say) -> None:
    """Apply them one by one, then what Django does after all. Raises UpgradeError."""
    for one in pending if not is_empty() else ():
        began = time.monotonic()
        _apply_one(one, say)
        say(f"{one.name}: applied in {time.monotonic() - began:.1f} s")
    # It also makes the rights of new models.
    _limit_lock_waits("0")
    call_command("migrate", interactive=False, verbosity=0)


def _apply_one(one: Pending, say: Say) -> None:
    # An index that is built concurrently waits for transactions and blocks nobody; if it
    # were cut short, an invalid one would stay.
    timeout = LOCK_TIMEOUT if one.migration.atomic else "0"
    target = (one.migration.app_label, one.migration.name)
    for number in range(1, TRIES + 1):
        _limit_lock_waits(timeout)
        try:
            MigrationExecutor(connection).migrate([target])
        except OperationalError as error:
            if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
                raise
            say(
                f"{one.name}: its table is in use ({_oldest()}); try {number} of {TRIES}"
            )
            time.sleep(PAUSE_S)
        else:
            return
    raise UpgradeError(
        f"{one.name} got no lock in {TRIES} tries: {_oldest()}. End it, or wait until it has "
        "ended, and run this command again: it goes on here."
    )


def _limit_lock_waits(timeout: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [timeout])


def _oldest() -> str:
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST)
        row = cursor.fetchone()
    if row is None:
        return "no transaction is open now"
    return f"the oldest transaction is of server process {row[0]}, open for {row[1]}"
