"""Deletes entries of the audit that AUDIT_KEEP_DAYS no longer keeps; by default none."""

from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from valuecanvas.core.audit.record import record

AT_A_TIME = 10_000
_DELETE = """
DELETE FROM core_audit_entry WHERE id IN (
    SELECT id FROM core_audit_entry WHERE at < %s ORDER BY id LIMIT %s)
"""


def allow(exception: str) -> None:
    """Let this transaction do what the table's triggers refuse: purge or erasure."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('valuecanvas.audit_exception', %s, true)", [exception]
        )


def purge() -> int:
    """Delete what is too old, and record that. Returns the number of entries."""
    if not settings.AUDIT_KEEP_DAYS:
        return 0
    before = timezone.now() - timedelta(days=settings.AUDIT_KEEP_DAYS)
    total, deleted = 0, AT_A_TIME
    while deleted == AT_A_TIME:
        with transaction.atomic(), connection.cursor() as cursor:
            allow("purge")
            cursor.execute(_DELETE, [before, AT_A_TIME])
            deleted = cursor.rowcount
            allow("")
        total += deleted
    if total:
        record("audit.purged", detail={"entries": total, "before": before.isoformat()})
    return total
