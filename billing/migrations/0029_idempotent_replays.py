"""A row for each request that got an earlier answer again, in the view of all requests."""

from django.db import migrations, models

OTHERS = """
CREATE OR REPLACE VIEW billing_request AS
SELECT id, created_at, false AS refused, user_id, customer_id, end_user, team, key,
    endpoint, model, provider, status, error_code AS code, cached, prompt_key,
    prompt_tokens, completion_tokens, cost_usd, latency_ms, job
FROM llm_usage
UNION ALL
SELECT id, created_at, true, user_id, customer_id, ''::varchar(200), team, key,
    endpoint, model, ''::varchar(60), 'refused'::varchar(20), code, false,
    ''::varchar(200), 0::bigint, 0::bigint, 0::numeric(18, 6), NULL::integer, job
FROM billing_refusal
"""
REPLAYS = """
UNION ALL
SELECT id, created_at, false, user_id, customer_id, ''::varchar(200), team, key,
    endpoint, model, ''::varchar(60), 'replayed'::varchar(20), ''::varchar(80), false,
    ''::varchar(200), 0::bigint, 0::bigint, 0::numeric(18, 6), NULL::integer, job
FROM billing_replay
"""


class Migration(migrations.Migration):
    safe_because = "A view is replaced in one transaction, without a wait for its readers."
    dependencies = [("billing", "0028_usage_indexes")]
    operations = [
        migrations.CreateModel(
            name="IdempotentReplay",
            fields=[
                ("id", models.UUIDField(help_text="The request id.", primary_key=True, serialize=False)),
                ("created_at", models.DateTimeField()),
                ("original_id", models.UUIDField(help_text="The request that was answered first, with the same key.")),
                ("user_id", models.CharField(max_length=200, verbose_name="user")),
                ("customer_id", models.UUIDField()),
                ("team", models.CharField(blank=True, max_length=60)),
                ("key", models.CharField(blank=True, max_length=16)),
                ("endpoint", models.CharField(max_length=40)),
                ("model", models.CharField(blank=True, max_length=200)),
                ("trace_id", models.CharField(blank=True, max_length=64)),
                ("job", models.CharField(blank=True, max_length=60)),
            ],
            options={
                "verbose_name": "replay",
                "verbose_name_plural": "replays",
                "db_table": "billing_replay",
                "indexes": [
                    models.Index(fields=["-created_at", "-id"], name="billing_replay_time"),
                    models.Index(fields=["customer_id", "created_at"], name="billing_replay_customer"),
                    models.Index(fields=["key", "created_at"], name="billing_replay_key"),
                    models.Index(fields=["user_id", "created_at"], name="billing_replay_user"),
                ],
            },
        ),
        migrations.RunSQL(OTHERS + REPLAYS, OTHERS),
    ]
