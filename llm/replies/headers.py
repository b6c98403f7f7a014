"""Builds response headers for quotas and budgets, with OpenAI's and the IETF's names.

RateLimit fields: draft-ietf-httpapi-ratelimit-headers-10.
"""

import datetime as dt

from billing.budget_periods import last_day, midnight
from billing.ledger import Admitted, BudgetRefused, Limit, QuotaRefused
from llm.replies.limit_headers import duration, merge
from llm.replies.limit_headers import headers as limit_headers
from llm.types import AdmittedCall, Plan


def seconds_to_midnight(at: dt.datetime) -> int:
    """Seconds from `at` to the next 00:00 UTC, at least 1."""
    tomorrow = at.date() + dt.timedelta(days=1)
    return max(1, int((midnight(tomorrow) - at).total_seconds()))


def quota(used: int, limit: int, at: dt.datetime) -> dict[str, str]:
    """The headers of the daily quota."""
    left, reset = max(0, limit - used), seconds_to_midnight(at)
    return {
        "x-ratelimit-limit-requests": str(limit),
        "x-ratelimit-remaining-requests": str(left),
        "x-ratelimit-reset-requests": duration(reset),
        "RateLimit-Policy": f'"daily";q={limit};w=86400',
        "RateLimit": f'"daily";r={left};t={reset}',
    }


def quota_headers(answer: Admitted) -> dict[str, str]:
    return quota(answer.used, answer.quota, answer.at)


def plan_headers(plan: Plan) -> dict[str, str]:
    """The headers of the plan: the prompt's version and variant, a lowered cap."""
    sent, chosen = {}, plan.chosen
    asked = plan.shape.asked_output
    if asked is not None and asked > plan.max_output:
        sent["x-valuecanvas-max-tokens"] = str(plan.max_output)
    if chosen.prompt_key:
        sent["x-valuecanvas-prompt"] = chosen.prompt_key
        sent["x-valuecanvas-prompt-version"] = str(chosen.prompt_version)
    if chosen.prompt_key and chosen.variant:
        sent["x-valuecanvas-variant"] = chosen.variant
    return sent


def reply_headers(held: AdmittedCall, provider: str) -> dict[str, str]:
    """The headers of an answer by `provider`; '' for a failure."""
    sent = quota_headers(held.admitted)
    if held.minute_use is not None:
        sent = merge(sent, limit_headers(held.minute_use))
    sent |= plan_headers(held.plan)
    sent["x-valuecanvas-epoch"] = str(held.plan.epoch)
    sent["x-valuecanvas-cache"] = "miss" if held.place else "bypass"
    if provider:
        sent["x-valuecanvas-provider"] = provider
    return sent


def quota_refused(answer: QuotaRefused) -> dict[str, str]:
    return {
        **quota(answer.used, answer.quota, answer.at),
        "Retry-After": str(seconds_to_midnight(answer.at)),
        "x-should-retry": "false",
    }


def budget_refused(answer: BudgetRefused) -> dict[str, str]:
    wait = reset_of(answer.limit, answer.at)
    sent = quota(answer.used, answer.quota, answer.at)
    headers = {**sent, "x-should-retry": "false"}
    if wait is not None:
        headers["Retry-After"] = str(wait)
    return headers


def reset_of(limit: Limit, at: dt.datetime) -> int | None:
    """Seconds until a budget's period ends; None: never."""
    end = limit.ends or last_day(limit.period, at.date())
    if end is None:
        return None
    after = midnight(end + dt.timedelta(days=1))
    return max(1, int((after - at).total_seconds()))
