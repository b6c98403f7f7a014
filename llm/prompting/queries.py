"""The SQL of llm/prompting/metrics.py. Both tables are read by prompt and time."""

from collections.abc import Mapping

USERS = "users"

# Whether it is for an experiment -> the names of the groups, and the rows that count.
_NAMED = {
    False: "coalesce(prompt_version, 0)::text",
    True: "substr(variant, length(%(prefix)s) + 1)",
}
_ONLY = {False: "", True: "AND starts_with(variant, %(prefix)s)"}

# A correction of a price counts as money, but not as a request.
_REQUESTS = """
asked AS MATERIALIZED (
    SELECT {named} AS name, coalesce(subject::text, user_id) AS unit, status, cached,
           status = 'ok' AND NOT cached AS answered,
           status NOT IN ('ok', 'client_gone', 'correction') AS failed,
           cost_usd, prompt_tokens, completion_tokens, latency_ms, created_at
    FROM llm_usage
    WHERE prompt_key = %(prompt)s AND created_at >= %(since)s
      AND created_at < %(until)s {only}
)"""
_SAID = """
said AS (
    SELECT {named} AS name, coalesce(subject::text, user_id) AS unit, score,
           requested_at
    FROM llm_feedback
    WHERE prompt_key = %(prompt)s AND requested_at >= %(since)s
      AND requested_at < %(until)s {only}
)"""

_FIGURES = """
WITH {requests}, {said}, liked AS (
    SELECT name, avg(score) AS mean, count(*) AS number FROM said GROUP BY name
)
SELECT asked.name,
       count(*) FILTER (WHERE status <> 'correction'),
       count(DISTINCT unit),
       count(*) FILTER (WHERE failed),
       count(*) FILTER (WHERE status = 'client_gone'),
       count(*) FILTER (WHERE cached AND status = 'ok'),
       sum(cost_usd),
       coalesce(sum(prompt_tokens) FILTER (WHERE status <> 'correction'), 0)::bigint,
       coalesce(sum(completion_tokens) FILTER (WHERE status <> 'correction'),
                0)::bigint,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY latency_ms) FILTER (WHERE answered),
       percentile_disc(0.95) WITHIN GROUP (ORDER BY latency_ms) FILTER (WHERE answered),
       max(liked.mean),
       coalesce(max(liked.number), 0)
FROM asked LEFT JOIN liked USING (name)
GROUP BY asked.name
"""

# First sums by user: n values, their sum s, the sum of their squares q. Of errors, which
# are 0 or 1, q is s. Then sums over users.
_SAMPLES = """
WITH {requests}, {said}, used AS (
    SELECT name, unit,
           count(*) FILTER (WHERE status <> 'client_gone') AS judged,
           count(*) FILTER (WHERE failed) AS failed,
           count(*) FILTER (WHERE answered) AS answered,
           sum(cost_usd::float8) FILTER (WHERE answered) AS cost,
           sum(cost_usd::float8 * cost_usd::float8) FILTER (WHERE answered) AS costs,
           sum(latency_ms::float8) FILTER (WHERE answered) AS latency,
           sum(latency_ms::float8 * latency_ms) FILTER (WHERE answered) AS latencies
    FROM asked WHERE status <> 'correction' GROUP BY name, unit
), liked AS (
    SELECT name, unit, count(*) AS n, sum(score) AS s, sum(score * score) AS q
    FROM said GROUP BY name, unit
), by_unit AS (
    SELECT name, metric, n::float8, s::float8, q::float8
    FROM used CROSS JOIN LATERAL (VALUES
        ('users', 1, 0, 0),
        ('error_rate', judged, failed, failed),
        ('cost', answered, cost, costs),
        ('latency', answered, latency, latencies)
    ) AS known (metric, n, s, q)
    UNION ALL
    SELECT name, 'feedback', n, s, q FROM liked
)
SELECT name, metric, count(*), sum(n)::bigint, sum(s), sum(q), sum(s * s), sum(s * n),
       sum(n * n)
FROM by_unit WHERE n > 0 GROUP BY name, metric
"""

_TIMELINE = """
WITH {requests}, {said}, liked AS (
    SELECT date_trunc(%(step)s, requested_at, 'UTC') AS at, name, avg(score) AS mean
    FROM said GROUP BY 1, 2
), used AS (
    SELECT date_trunc(%(step)s, created_at, 'UTC') AS at, name,
           count(*) FILTER (WHERE status <> 'correction') AS requests,
           count(*) FILTER (WHERE failed) AS failed,
           sum(cost_usd)::float8 AS cost,
           (avg(latency_ms) FILTER (WHERE answered))::float8 AS latency
    FROM asked GROUP BY 1, 2
)
SELECT at, name, requests, failed, cost, latency, liked.mean
FROM used LEFT JOIN liked USING (at, name)
ORDER BY at, name
"""


def _both(statement: str) -> Mapping[bool, str]:
    """The statement for a prompt's versions, and for an experiment's arms."""
    found = {}
    for experiment in (False, True):
        words = {"named": _NAMED[experiment], "only": _ONLY[experiment]}
        found[experiment] = statement.format(
            requests=_REQUESTS.format(**words), said=_SAID.format(**words)
        )
    return found


FIGURES = _both(_FIGURES)
SAMPLES = _both(_SAMPLES)
TIMELINE = _both(_TIMELINE)
