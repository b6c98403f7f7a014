"""Sums of weeks, for the levels that have many sums for each day; made by the next rollup."""

from django.db import migrations, models

LEVELS = (25, 26, 27, 28)
# Those whose reports of a customer have an index by day.
OF_CUSTOMERS = (25, 26, 28)
TABLES = "".join(
    f"CREATE TABLE billing_usage_hour_{one} PARTITION OF billing_usage_hour "
    f"FOR VALUES IN ({one});"
    for one in LEVELS
) + "".join(
    f"CREATE INDEX billing_usage_hour_{one}_customer "
    f"ON billing_usage_hour_{one} (customer_id, start);"
    for one in OF_CUSTOMERS
)
NO_TABLES = "".join(f"DROP TABLE billing_usage_hour_{one};" for one in LEVELS)
LATENCY = """
CREATE AGGREGATE usage_latency_sum(bigint[]) (
    SFUNC = array_cat, STYPE = bigint[], INITCOND = '{}', FINALFUNC = usage_latency,
    PARALLEL = SAFE
)
"""


class Migration(migrations.Migration):
    safe_because = "The new tables are empty; their parent is locked for a moment."
    dependencies = [("billing", "0031_keys_of_former_staff")]
    operations = [
        migrations.RunSQL(LATENCY, "DROP AGGREGATE usage_latency_sum(bigint[])"),
        migrations.RunSQL(TABLES, NO_TABLES),
        migrations.AddField(
            model_name="rollupstate",
            name="weeks_until",
            field=models.DateField(null=True),
        ),
    ]
