"""Fills the ledger with requests for measurements, skewed as traffic is.

Run in a process with Django's settings, on a database of its own: the ledger keeps rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection

TEAMS, CUSTOMERS, MODELS, PROVIDERS, PROMPTS = 20, 1000, 20, 5, 30
# Rows of one statement.
AT_A_TIME = 200_000

# A share of a share: few customers and models have most of the requests. The numbers
# repeat from run to run: they come from digests of the row's own number.
FILL = """
INSERT INTO llm_usage (
    id, user_id, customer_id, end_user, key, team, model, provider, upstream_model,
    endpoint, prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens,
    cost_usd, provider_cost_usd, cached, saved_usd, status, error_code, latency_ms,
    ttft_ms, attempts, prompt_key, prompt_version, variant, flags, job, tags, epoch,
    trace_id, source, marks, day, created_at)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
        || substr(h, 1, 3) || '8' || substr(h, 4, 15))::uuid,
    'user-' || c, md5('customer-' || c)::uuid, '', lpad(to_hex(c), 12, '0'),
    'team-' || c %% %(teams)s, 'model-' || m, 'provider-' || m %% %(providers)s,
    'model-' || m, 'chat', 50 + (r * 4000)::int, 20 + (q * 900)::int, 0, 0,
    CASE WHEN hit THEN 0 ELSE round((0.00001 * (50 + r * 4000 + q * 2000))::numeric, 6) END,
    CASE WHEN hit THEN 0 ELSE round((0.00001 * (50 + r * 4000 + q * 2000))::numeric, 6) END,
    hit, CASE WHEN hit THEN round((0.00001 * (50 + r * 4000))::numeric, 6) ELSE 0 END,
    CASE WHEN r > 0.985 THEN 'error' ELSE 'ok' END,
    CASE WHEN r > 0.985 THEN 'upstream_error' ELSE '' END,
    CASE WHEN hit THEN 2 ELSE 200 + (q * q * 9000)::int END, 150 + (q * 300)::int, 1,
    CASE WHEN p < %(prompts)s THEN 'prompt-' || p ELSE '' END,
    CASE WHEN p < %(prompts)s THEN 1 + (c + p) %% 4 END, '', '{}', '',
    CASE WHEN c %% 3 = 0 THEN ARRAY['tag-' || c %% 12]::varchar[] ELSE '{}'::varchar[] END,
    1, '', 'provider', CASE WHEN m = 19 AND q < 0.01 THEN '{unpriced}'::varchar[]
        ELSE '{}'::varchar[] END, (at AT TIME ZONE 'utc')::date, at
FROM (
    SELECT h, q, r, at, r * q < 0.06 AS hit,
        (%(customers)s * r * r * q)::int AS c, (%(models)s * q * q)::int %% 20 AS m,
        (2 * %(prompts)s * q)::int AS p
    FROM (
        SELECT md5(i::text) AS h, now() - interval '10 minutes'
                - (i::float8 / %(rows)s) * %(days)s * interval '1 day' AS at,
            ('x' || substr(md5(i::text), 20, 7))::bit(28)::int / 268435456.0 AS q,
            ('x' || substr(md5('r' || i), 1, 7))::bit(28)::int / 268435456.0 AS r
        FROM generate_series(%(first)s, %(last)s) AS i
    ) AS drawn
) AS chosen
"""


def fill(rows: int, days: int) -> Iterator[int]:
    """Add `rows` requests spread over the last `days` days; yields how many there are."""
    values = {
        "rows": rows,
        "days": days,
        "teams": TEAMS,
        "customers": CUSTOMERS,
        "models": MODELS,
        "providers": PROVIDERS,
        "prompts": PROMPTS,
    }
    for first in range(1, rows + 1, AT_A_TIME):
        last = min(first + AT_A_TIME - 1, rows)
        with connection.cursor() as cursor:
            cursor.execute(FILL, {**values, "first": first, "last": last})
        yield last
