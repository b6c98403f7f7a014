"""What must hold of the money after every test, read from the tables themselves."""

import datetime as dt
from typing import Any

from django.db import connection

# Counters against what they count: ledger rows and live reservations (I1, I2).
DRIFT = """
WITH moves AS (
    SELECT customer_id, team, key, facts->>'model' AS model, CASE WHEN facts ? 'tags'
           THEN ARRAY(SELECT jsonb_array_elements_text(facts->'tags')) END AS tags,
           day, 1 AS used, 0 AS spent, estimate AS reserved
    FROM billing_reservation
    UNION ALL
    SELECT customer_id, team, key, model, tags, day,
           CASE WHEN status <> 'correction' THEN 1 - ('refunded' = ANY (marks))::int
                ELSE -('refunded' = ANY (marks))::int END,
           cost_usd * 1000000, 0
    FROM llm_usage
), scoped AS (
    SELECT 'c:' || customer_id || ':' || day AS key, used, spent, reserved FROM moves
    UNION ALL SELECT 'g::' || day, used, spent, reserved FROM moves
    UNION ALL SELECT 't:' || team || ':' || day, used, spent, reserved
              FROM moves WHERE team <> ''
    UNION ALL SELECT 'k:' || key || ':' || day, used, spent, reserved
              FROM moves WHERE key <> ''
    UNION ALL SELECT 'm:' || model || ':' || day, used, spent, reserved
              FROM moves WHERE tags IS NOT NULL
    UNION ALL SELECT 'x:' || tag || ':' || day, used, spent, reserved
              FROM moves, unnest(tags) AS tag
), wanted AS (
    SELECT key, sum(used) AS used, sum(spent) AS spent, sum(reserved) AS reserved
    FROM scoped GROUP BY key
)
SELECT key, c.used, w.used, c.spent, w.spent, c.reserved, w.reserved
FROM billing_counter c FULL JOIN wanted w USING (key)
WHERE (coalesce(c.used, 0), coalesce(c.spent, 0), coalesce(c.reserved, 0))
   <> (coalesce(w.used, 0), coalesce(w.spent, 0), coalesce(w.reserved, 0))
"""


def rows(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(statement, list(values))
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def drift() -> list[tuple[Any, ...]]:
    """Counters that differ from what they count: (key, is, should be, ...)."""
    return rows(DRIFT)


def assert_books_balance() -> None:
    """I1, I2: counters are the sums of the ledger and of the live reservations."""
    assert drift() == []


def assert_nothing_held() -> None:
    """The books balance, and every reservation has ended."""
    assert_books_balance()
    assert rows("SELECT id FROM billing_reservation") == []


def assert_quota_kept(quota: int) -> None:
    """I4: no customer used more than `quota` in a day."""
    statement = "SELECT key, used FROM billing_counter WHERE scope = 'c' AND used > %s"
    assert rows(statement, quota) == []


def total(scope: str, since: dt.date = dt.date.min) -> int:
    """Spent plus reserved of a scope from the day `since` on, in micro-dollars (I5)."""
    found = rows(
        "SELECT sum(spent + reserved) FROM billing_counter "
        "WHERE scope = left(%s, 1) AND scope_id = substr(%s, 3) AND day >= %s",
        scope,
        scope,
        since,
    )
    return int(found[0][0] or 0)
