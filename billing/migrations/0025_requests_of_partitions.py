"""Has the view of all requests read the partitioned ledger: it knew the table by its oid."""

from django.db import migrations

DROP = "DROP VIEW IF EXISTS billing_request;"
VIEW = """
CREATE VIEW billing_request AS
SELECT id, created_at, false AS refused, user_id, customer_id, end_user, team, key,
    endpoint, model, provider, status, error_code AS code, cached, prompt_key,
    prompt_tokens, completion_tokens, cost_usd, latency_ms, job
FROM {ledger}
UNION ALL
SELECT id, created_at, true, user_id, customer_id, ''::varchar(200), team, key,
    endpoint, model, ''::varchar(60), 'refused'::varchar(20), code, false,
    ''::varchar(200), 0::bigint, 0::bigint, 0::numeric(18, 6), NULL::integer, job
FROM billing_refusal
"""


class Migration(migrations.Migration):
    safe_because = "A view is replaced in one transaction, without a wait for its readers."
    dependencies = [("billing", "0024_usage_partitions")]
    operations = [
        migrations.RunSQL(
            DROP + VIEW.format(ledger="llm_usage"),
            # Back: the part that is the ledger again once the partitions are merged.
            DROP + VIEW.format(ledger="llm_usage_history"),
        )
    ]
