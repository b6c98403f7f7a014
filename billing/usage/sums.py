"""The SQL of the sums, over rows of the ledger and over rollups."""

import math

from billing.usage.levels import DIMENSIONS, Level

# DDSketch (Masson et al. 2019): buckets that grow by GAMMA give any quantile of any union
# of groups within 2 %, and are merged by adding counts, which PostgreSQL does itself.
ACCURACY = 0.02
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_BUCKET = f"ceil(ln(greatest(latency_ms, 1)::float8) / {math.log(GAMMA)!r})::bigint"
REQUEST = "status <> 'correction'"
COUNTED = {
    "requests": f"count(*) FILTER (WHERE {REQUEST})",
    "ok": "count(*) FILTER (WHERE status = 'ok')",
    "failed": "count(*) FILTER (WHERE status NOT IN ('ok', 'correction'))",
    "cached": f"count(*) FILTER (WHERE cached AND {REQUEST})",
    "corrections": "count(*) FILTER (WHERE status = 'correction')",
    "prompt_tokens": "sum(prompt_tokens)",
    "completion_tokens": "sum(completion_tokens)",
    "cached_tokens": "sum(cached_tokens)",
    "cost_usd": "sum(cost_usd)",
    "provider_cost_usd": "sum(provider_cost_usd)",
    "saved_usd": "sum(saved_usd)",
}
SUMMED = tuple(COUNTED)
LATENCY = (
    f"usage_latency(array_agg(({_BUCKET} << 32) + 1) FILTER (WHERE status = 'ok'))"
)
# A dimension of a row of the ledger, which may have none.
RAW = {
    "prompt_version": "coalesce(prompt_version, 0)",
    "tags": "coalesce(tags, '{}'::varchar[])",
}
NONE = {
    "customer_id": "'00000000-0000-0000-0000-000000000000'::uuid",
    "prompt_version": "0",
    "tags": "'{}'::varchar[]",
}


def insert_into(level: Level) -> str:
    """The beginning of the statement that writes sums of a level: its FROM is to follow."""
    named = ", ".join(DIMENSIONS)
    return f"""
INSERT INTO billing_usage_hour AS h
    (id, level, start, {named}, {", ".join(SUMMED)}, latency)
SELECT left(encode(sha256(convert_to(
           ROW(extract(epoch FROM start), {named})::text, 'UTF8')), 'hex'), 32)::uuid,
       {level.number}, start, {named}, {", ".join(SUMMED)}, latency
FROM"""  # noqa: S608 - names of this package


def quantile(buckets: list[tuple[int, int]], share: float) -> int | None:
    """The latency in ms that `share` of the answers did not exceed, within ACCURACY.

    `buckets` are (number, count) in ascending order. None: there were no answers.
    """
    rank = share * (sum(count for _, count in buckets) - 1)
    passed = 0
    for number, count in buckets:
        passed += count
        if passed > rank:
            return round(2 * GAMMA**number / (GAMMA + 1))
    return None
