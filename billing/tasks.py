"""Billing's periodic work."""

import structlog
from celery import shared_task

from billing.accounting import purge, reconcile
from billing.alerts import rule_checks
from billing.auth import issuer_rights
from billing.usage import archive, partitions, rollup
from valuecanvas.core.db.periodic_work import PeriodicWork

log = structlog.get_logger("billing.tasks")
PERIODIC = (
    PeriodicWork(
        "Billing: check the alert rules",
        "billing.evaluate_alerts",
        "Opens and resolves alerts, and has them sent to their channels.",
        every=15,
        expire_seconds=15,
    ),
    PeriodicWork(
        "Billing: purge old bookkeeping",
        "billing.purge",
        "Removes counters and change rows that nothing reads.",
        crontab="17 3 * * *",
        expire_seconds=3600,
    ),
    PeriodicWork(
        "Billing: check the ledger",
        "billing.reconcile",
        "Compares counters, reservations and ledger of today and yesterday. See Ledger "
        "health.",
        crontab="7 * * * *",
        expire_seconds=1800,
    ),
    PeriodicWork(
        "Billing: check the ledger of the last 32 days",
        "billing.reconcile",
        "The same for every day that a monthly budget may count.",
        crontab="37 3 * * *",
        kwargs='{"days": 32}',
        expire_seconds=3600,
    ),
    PeriodicWork(
        "Billing: revoke keys of former staff",
        "billing.revoke_keys_of_former_staff",
        "Under KEYS_OF_FORMER_STAFF=revoke: ends the keys whose issuer lost the rights for "
        "their scopes.",
        every=60,
        expire_seconds=50,
    ),
    PeriodicWork(
        "Billing: sum up the ledger",
        "billing.rollup_usage",
        "Adds the newest requests to the sums by hour and day that reports read.",
        every=60,
        expire_seconds=50,
    ),
    PeriodicWork(
        "Billing: months of the ledger",
        "billing.partition_ledger",
        "Adds the tables of the next months, and archives those older than "
        "USAGE_KEEP_MONTHS.",
        crontab="47 2 * * *",
        expire_seconds=3600,
    ),
)


@shared_task(name="billing.purge")
def purge_old() -> dict[str, int]:
    """Remove old bookkeeping."""
    deleted = purge.purge()
    log.info("bookkeeping.purged", **deleted)
    return deleted


@shared_task(name="billing.reconcile")
def reconcile_books(days: int = reconcile.DAYS) -> bool:
    """Check the ledger of the last `days` days. Returns whether there was no drift."""
    return reconcile.run("schedule", days).ok


@shared_task(name="billing.evaluate_alerts")
def evaluate_alerts() -> int:
    """Check the alert rules. Returns the number of new alerts."""
    return rule_checks.check_rules()


@shared_task(name="billing.partition_ledger")
def partition_ledger() -> dict[str, list[str]]:
    """Add the partitions of the next months, and archive those that are too old."""
    added = partitions.add_months()
    archived = [one.name for one in archive.archive_due()]
    partitions.analyze()
    log.info("ledger.partitioned", added=added, archived=archived)
    return {"added": added, "archived": archived}


@shared_task(name="billing.rollup_usage")
def rollup_usage() -> str:
    """Add the newest requests to the rollups. Returns up to when they go."""
    return str(rollup.catch_up())


@shared_task(name="billing.revoke_keys_of_former_staff")
def revoke_keys_of_former_staff() -> int:
    """End the keys whose issuer lost rights, if the setting says so. Returns how many."""
    return issuer_rights.revoke_affected_keys()
