"""Deletes old bookkeeping rows that nothing reads any more. The ledger itself is kept."""

import datetime as dt

from django.conf import settings
from django.db import connection
from django.utils import timezone

AT_A_TIME = 5_000
# A process that is further behind than this reloads the whole configuration.
CHANGES_KEPT = dt.timedelta(days=2)
CHECKS_KEPT = dt.timedelta(days=90)

_STATEMENTS = {
    # Total budgets need the sums of all days, so only rows without money go.
    "counters": """DELETE FROM billing_counter WHERE key IN (
        SELECT key FROM billing_counter
        WHERE day < %(old_day)s AND spent = 0 AND reserved = 0 LIMIT %(most)s)""",
    "changes": """DELETE FROM core_change WHERE id IN (
        SELECT id FROM core_change WHERE created_at < %(old_change)s LIMIT %(most)s)""",
    "form_results": """DELETE FROM core_form_result WHERE id IN (
        SELECT id FROM core_form_result WHERE until <= %(now)s LIMIT %(most)s)""",
    "webhooks": """DELETE FROM core_webhook_delivery WHERE id IN (
        SELECT id FROM core_webhook_delivery
        WHERE created_at < %(old_webhook)s LIMIT %(most)s)""",
    "alerts": """DELETE FROM billing_alertevent WHERE id IN (
        SELECT id FROM billing_alertevent
        WHERE state = 'resolved' AND resolved_at < %(old_alert)s LIMIT %(most)s)""",
    "refusals": """DELETE FROM billing_refusal WHERE id IN (
        SELECT id FROM billing_refusal
        WHERE created_at < %(old_refusal)s LIMIT %(most)s)""",
    "replays": """DELETE FROM billing_replay WHERE id IN (
        SELECT id FROM billing_replay
        WHERE created_at < %(old_refusal)s LIMIT %(most)s)""",
    "refusal_counts": """DELETE FROM billing_refusal_count WHERE id IN (
        SELECT id FROM billing_refusal_count
        WHERE minute < %(old_refusal)s LIMIT %(most)s)""",
    # Checks that found drift are kept.
    "checks": """DELETE FROM billing_ledgercheck WHERE id IN (
        SELECT id FROM billing_ledgercheck
        WHERE ok AND finished_at < %(old_check)s LIMIT %(most)s)""",
}


def purge() -> dict[str, int]:
    """Delete old rows in small transactions. Returns the number of deleted rows by kind."""
    now = timezone.now()
    values: dict[str, dt.date | dt.datetime | int] = {
        "old_day": now.date() - dt.timedelta(days=settings.USAGE_RETENTION_DAYS),
        "now": now,
        "old_change": now - CHANGES_KEPT,
        "old_check": now - CHECKS_KEPT,
        "old_alert": now - dt.timedelta(days=settings.ALERTS_KEEP_DAYS),
        "old_webhook": now - dt.timedelta(days=settings.WEBHOOKS_KEEP_DAYS),
        "old_refusal": now - dt.timedelta(days=settings.REFUSALS_KEEP_DAYS),
        "most": AT_A_TIME,
    }
    deleted = {}
    for name, statement in _STATEMENTS.items():
        deleted[name] = 0
        with connection.cursor() as cursor:
            while True:
                cursor.execute(statement, values)
                deleted[name] += cursor.rowcount
                if cursor.rowcount < AT_A_TIME:
                    break
    return deleted
