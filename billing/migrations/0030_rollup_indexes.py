"""Indexes for reports of a customer, on the levels that have many sums for each day."""

from django.db import migrations

LEVELS = (3, 15, 16, 18)


def _index(level: int) -> migrations.RunSQL:
    table = f"billing_usage_hour_{level}"
    return migrations.RunSQL(
        [
            # Left by a crash, it may be unfit.
            f"DROP INDEX CONCURRENTLY IF EXISTS {table}_customer",
            f"CREATE INDEX CONCURRENTLY {table}_customer ON {table} (customer_id, start)",
        ],
        f"DROP INDEX CONCURRENTLY IF EXISTS {table}_customer",
    )


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("billing", "0029_idempotent_replays")]
    operations = [_index(level) for level in LEVELS]
