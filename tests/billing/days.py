"""Moves all that the ledger holds to another day, as if it had happened then."""

import datetime as dt

from django.db import connection

from tests.tampering import tampering


def today() -> dt.date:
    """The UTC day by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT (now() AT TIME ZONE 'UTC')::date")
        day: dt.date = cursor.fetchone()[0]
    return day


def move(to: dt.date) -> None:
    """Move today's counters, reservations and ledger rows to the day `to`."""
    now = today()
    with tampering(), connection.cursor() as cursor:
        for table in ("billing_reservation", "llm_usage"):
            cursor.execute(
                f"UPDATE {table} SET day = %s WHERE day = %s",  # noqa: S608
                [to, now],
            )
        cursor.execute(
            "DELETE FROM billing_counter WHERE day = %s "
            "AND (used, spent, reserved) = (0, 0, 0)",
            [to],
        )
        cursor.execute(
            "UPDATE billing_counter SET day = %s, key = replace(key, %s, %s) "
            "WHERE day = %s",
            [to, str(now), str(to), now],
        )


def yesterday() -> dt.date:
    return today() - dt.timedelta(days=1)
