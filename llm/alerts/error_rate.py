"""How many of the last requests failed, without those that were the caller's mistake."""

from collections.abc import Iterator
from typing import Any

from django.urls import reverse

from billing.alerts.types import Condition
from billing.models import AlertRule
from valuecanvas.core.db.statement_timeout import limited_cursor

TIMEOUT_MS = 4_000
CALLERS_FAULT = """(status = 'error' AND EXISTS (
    SELECT FROM llm_attempt AS a WHERE a.request_id = u.id AND a.outcome = 'client'))"""
# Which requests `u` of the ledger are errors. A provider's refusal of a request is none.
FAILED = f"(status IN ('error', 'interrupted') AND NOT {CALLERS_FAULT})"
# All that ended in the window.
OF_REQUESTS = f"""
SELECT count(*) FILTER (WHERE status IN ('error', 'interrupted')), count(*)
FROM llm_usage AS u
WHERE created_at >= now() - make_interval(mins => %(minutes)s)
  AND status IN ('ok', 'error', 'interrupted')
  AND (%(model)s = '' OR model = %(model)s)
  AND NOT {CALLERS_FAULT}
"""  # noqa: S608 - a constant
# Of one provider: its calls, for a request that failed has no provider.
OF_CALLS = """
SELECT failed, failed + answered FROM
    (SELECT count(*) AS failed FROM llm_attempt
     WHERE created_at >= now() - make_interval(mins => %(minutes)s)
       AND provider = %(provider)s AND outcome <> 'client') AS f,
    (SELECT count(*) AS answered FROM llm_usage
     WHERE created_at >= now() - make_interval(mins => %(minutes)s)
       AND provider = %(provider)s AND status = 'ok' AND NOT cached
       AND (%(model)s = '' OR model = %(model)s)) AS a
"""


def find_error_rates(rule: AlertRule) -> Iterator[Condition]:
    """Whether more requests of the rule's window have failed than it allows."""
    failed, ended = count_failures(rule)
    if ended < rule.least_requests or 100 * failed < rule.percent * ended:
        return
    whose = "".join(
        f" {name} '{value}'"
        for name, value in (("of model", rule.model), ("at", rule.provider))
        if value
    )
    percent = 100 * failed / ended
    yield Condition(
        "errors",
        f"{percent:.1f}% of the requests{whose} have failed in the last "
        f"{rule.window_minutes} minutes ({failed:,} of {ended:,}).",
        {"failed": failed, "ended": ended, "percent": round(percent, 1)},
        reverse("admin:billing_usage_changelist"),
    )


def count_failures(rule: AlertRule) -> tuple[int, int]:
    """How many of the rule's window have failed, and how many have ended."""
    values: dict[str, Any] = {
        "minutes": rule.window_minutes,
        "model": rule.model,
        "provider": rule.provider,
    }
    with limited_cursor(TIMEOUT_MS) as cursor:
        cursor.execute(OF_CALLS if rule.provider else OF_REQUESTS, values)
        failed, ended = cursor.fetchone() or (0, 0)
    return failed, ended
