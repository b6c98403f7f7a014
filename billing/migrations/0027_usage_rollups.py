import uuid

import django.contrib.postgres.fields
from django.db import migrations, models

# Each level is read on its own, so it has its own table, in the order of time.
LEVELS = (1, 2, 3, 4, 11, 12, 13, 14, 15, 16, 17, 18)
TABLE = """
CREATE TABLE billing_usage_hour (
    id uuid NOT NULL, level smallint NOT NULL, start timestamptz NOT NULL,
    team varchar(60) NOT NULL, customer_id uuid NOT NULL, key varchar(16) NOT NULL,
    model varchar(200) NOT NULL, provider varchar(60) NOT NULL,
    endpoint varchar(40) NOT NULL, prompt_key varchar(200) NOT NULL,
    prompt_version integer NOT NULL, variant varchar(100) NOT NULL,
    tags varchar(60)[] NOT NULL, requests bigint NOT NULL, ok bigint NOT NULL,
    failed bigint NOT NULL, cached bigint NOT NULL, corrections bigint NOT NULL,
    prompt_tokens bigint NOT NULL, completion_tokens bigint NOT NULL,
    cached_tokens bigint NOT NULL, cost_usd numeric(24, 6) NOT NULL,
    provider_cost_usd numeric(24, 6) NOT NULL, saved_usd numeric(24, 6) NOT NULL,
    latency bigint[] NOT NULL, PRIMARY KEY (id, level)
) PARTITION BY LIST (level);
CREATE INDEX billing_usage_hour_start ON billing_usage_hour (start);
""" + "".join(
    f"CREATE TABLE billing_usage_hour_{one} PARTITION OF billing_usage_hour "
    f"FOR VALUES IN ({one});"
    for one in LEVELS
)
# Adds the counts of equal buckets: of rows of the ledger, and of several sums.
LATENCY = """
CREATE FUNCTION usage_latency(buckets bigint[]) RETURNS bigint[] AS $$
    SELECT coalesce(array_agg((bucket << 32) + n ORDER BY bucket), '{}') FROM (
        SELECT one >> 32 AS bucket, sum(one & 4294967295)::bigint AS n
        FROM unnest(buckets) AS one GROUP BY 1) AS counted
$$ LANGUAGE sql IMMUTABLE PARALLEL SAFE;
"""
LATE = """
CREATE FUNCTION llm_usage_note_late() RETURNS trigger AS $$
BEGIN
    INSERT INTO billing_late_day (day)
    SELECT DISTINCT (created_at AT TIME ZONE 'utc')::date FROM added
    WHERE created_at < now() - interval '10 seconds' ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER llm_usage_late AFTER INSERT ON llm_usage REFERENCING NEW TABLE AS added
FOR EACH STATEMENT EXECUTE FUNCTION llm_usage_note_late();
"""
NOT_LATE = """
DROP TRIGGER llm_usage_late ON llm_usage;
DROP FUNCTION llm_usage_note_late();
"""


class Migration(migrations.Migration):
    safe_because = "A trigger for inserts needs its lock for a moment; the tables are new."
    dependencies = [("billing", "0026_erase_customers")]
    operations = [
        migrations.RunSQL(LATENCY, "DROP FUNCTION usage_latency(bigint[])"),
        migrations.CreateModel(
            name="LateDay",
            fields=[("day", models.DateField(primary_key=True, serialize=False))],
            options={"db_table": "billing_late_day"},
        ),
        migrations.CreateModel(
            name="RollupState",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("until", models.DateTimeField(null=True)),
            ],
            options={"db_table": "billing_rollup_state"},
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(TABLE, "DROP TABLE billing_usage_hour")
            ],
            state_operations=[
                migrations.CreateModel(
                    name="UsageHour",
                    fields=[
                        ("id", models.UUIDField(primary_key=True, serialize=False)),
                        ("level", models.SmallIntegerField()),
                        ("start", models.DateTimeField()),
                        ("team", models.CharField(default="", max_length=60)),
                        ("customer_id", models.UUIDField(default=uuid.UUID(int=0))),
                        ("key", models.CharField(default="", max_length=16)),
                        ("model", models.CharField(default="", max_length=200)),
                        ("provider", models.CharField(default="", max_length=60)),
                        ("endpoint", models.CharField(default="", max_length=40)),
                        ("prompt_key", models.CharField(default="", max_length=200)),
                        ("prompt_version", models.IntegerField(default=0)),
                        ("variant", models.CharField(default="", max_length=100)),
                        ("tags", django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=60), default=list, size=None)),
                        ("requests", models.BigIntegerField()),
                        ("ok", models.BigIntegerField()),
                        ("failed", models.BigIntegerField()),
                        ("cached", models.BigIntegerField()),
                        ("corrections", models.BigIntegerField()),
                        ("prompt_tokens", models.BigIntegerField()),
                        ("completion_tokens", models.BigIntegerField()),
                        ("cached_tokens", models.BigIntegerField()),
                        ("cost_usd", models.DecimalField(decimal_places=6, max_digits=24)),
                        ("provider_cost_usd", models.DecimalField(decimal_places=6, max_digits=24)),
                        ("saved_usd", models.DecimalField(decimal_places=6, max_digits=24)),
                        ("latency", django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, help_text="Of each bucket of the sketch: its number << 32, plus its count.", size=None)),
                    ],
                    options={"db_table": "billing_usage_hour"},
                ),
                migrations.AddIndex(
                    model_name="usagehour",
                    index=models.Index(fields=["start"], name="billing_usage_hour_start"),
                ),
            ],
        ),
        migrations.RunSQL(LATE, NOT_LATE),
    ]
