"""Times dashboard, Spend page, reports, lists and exports on a large ledger.

Run by bench/spend.py in a process with Django's settings.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import Sum
from django.test import Client, override_settings
from django.utils import timezone

from bench import measure, usage_rows
from billing.models import Usage, UsageHour
from billing.usage import exports, partitions, reports, rollup
from billing.usage.levels import LEVELS
from billing.usage.reports import DIMENSIONS, UsageQuery
from billing.usage.spend_query import GROUPS

ROUNDS = 5
DAYS, REPORT_DAYS = 90, 30
EXPORTED = 1_000_000
# Pages name static files without the digests that a deployment collects.
UNNAMED = {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
}
# Whose slowest query is explained.
EXPLAINED = (
    "Spend by customer",
    "report by customer and model",
    "Requests, none",
    "Requests, provider without rows",
    "Requests, customer with few rows",
    "Requests, month",
)
LARGE = re.compile("^SELECT.*(billing_request|billing_usage_hour|llm_usage)", re.DOTALL)
REQUESTS, SPEND = "/admin/billing/request/", "/admin/billing/counter/spend/"
FILTERS = {
    "none": "",
    "outcome": "outcome=failed",
    "refused": "outcome=refused",
    "reason": "code=budget_exceeded",
    "model": "model=model-7",
    "provider": "provider=provider-2",
    "provider without rows": "provider=provider-none",
    "cache": "cached=1",
    "prompt": "prompt_key=prompt-3",
    "team": "team=team-4",
    "team without rows": "team=team-none",
    "customer": "customer_id=%(customer)s",
    "customer with few rows": "customer_id=%(rare)s",
    "month": "created_at_from_0=%(month)s",
    "user": "q=user-17",
    "id": "q=%(id)s",
}


def run(rows: int) -> None:
    """Fill the ledger, and print all figures as one line of JSON."""
    found: dict[str, Any] = {}
    started = time.monotonic()
    for done in usage_rows.fill(rows, DAYS):
        _say(f"{done:,} rows")
    found["fill"] = time.monotonic() - started
    started = time.monotonic()
    rollup.catch_up()
    found["rollup"] = time.monotonic() - started
    found["sums"] = UsageHour.objects.count()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    partitions.analyze()
    found["exact"] = _is_exact()
    found |= measure_acts()
    found["export"] = _export()
    print(json.dumps(found, default=str))


def measure_acts() -> dict[str, Any]:
    """The milliseconds of each act, and the plans of some."""
    # The throw-away account has no second factor.
    with override_settings(STORAGES=UNNAMED, ADMIN_MFA="optional"):
        acts = _acts()
        return {
            "ms": {name: _median(name, act) for name, act in acts.items()},
            "plans": {name: _plan(acts[name]) for name in EXPLAINED},
        }


def _is_exact() -> bool:
    """Whether the sums are those of the rows, to the micro-dollar."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), sum(cost_usd) FROM llm_usage")
        raw = cursor.fetchone()
        # Those of weeks are sums of these, of weeks that are over.
        cursor.execute(
            "SELECT level, sum(requests), sum(cost_usd) FROM billing_usage_hour "
            "WHERE level = ANY(%s) GROUP BY 1",
            [[one.number for one in LEVELS]],
        )
        return all((count, cost) == raw for _, count, cost in cursor.fetchall())


def _acts() -> dict[str, Callable[[], Any]]:
    user = User.objects.create_superuser("bench", password="bench")  # noqa: S106 - a throw-away database
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(user)
    row = Usage.objects.order_by("created_at")[1000:1001].get()
    month = timezone.now() - dt.timedelta(days=31)
    by_customer = UsageHour.objects.filter(level=13).values_list("customer_id")
    names = {
        "customer": row.customer_id,
        "rare": by_customer.annotate(n=Sum("requests")).order_by("n")[0][0],
        "id": row.pk,
        "month": f"{month:%Y-%m-%d}",
    }

    def page(url: str) -> Callable[[], Any]:
        def get() -> None:
            cache.clear()
            answer = client.get(url, secure=True)
            if answer.status_code != 200:
                raise RuntimeError(f"{url}: {answer.status_code}")

        return get

    return {
        "dashboard": page("/admin/"),
        **{f"Spend by {one}": page(f"{SPEND}?group={one}") for one in GROUPS},
        **_reports(),
        **{
            f"Requests, {name}": page(f"{REQUESTS}?{query % names}")
            for name, query in FILTERS.items()
        },
    }


def _reports() -> dict[str, Callable[[], Any]]:
    end = timezone.now().date() + dt.timedelta(days=1)
    # Of 30 days that end before a Sunday the fewest are in whole weeks.
    sunday = end - dt.timedelta(days=(end.weekday() + 1) % 7)

    def report(*groups: str, end: dt.date = end, **more: Any) -> Callable[[], Any]:
        start = end - dt.timedelta(days=REPORT_DAYS)
        return lambda: reports.run(UsageQuery(start, end, groups, **more))

    return {
        "report, in all": report(),
        "report, in all, with latency": report(latency=True),
        "report, by the day": report(bucket="day"),
        **{f"report by {one}": report(one, top=100) for one in DIMENSIONS},
        "report by customer and model": report("customer", "model", top=100),
        "report by customer and model, fewest weeks": report(
            "customer", "model", top=100, end=sunday
        ),
        "report by customer and prompt": report("customer", "prompt", top=100),
        "report by customer and model of a prompt": report(
            "customer", "model", top=100, filters={"prompt": ["prompt-7"]}
        ),
        "report by model, compared": report("model", compare=True),
        "report of a customer by model": report(
            "model", filters={"customer": [str(Usage.objects.values_list("customer_id", flat=True)[0])]}
        ),
    }  # fmt: skip


def _median(name: str, act: Callable[[], Any]) -> float:
    took = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        act()
        took.append((time.perf_counter() - started) * 1000)
    found = statistics.median(took)
    _say(f"{name}: {found:.0f} ms")
    return found


def _plan(act: Callable[[], Any]) -> str:
    """PostgreSQL's plan of the slowest query of `act`, with the rows that it read."""
    queries: list[tuple[float, str, Any]] = []

    def note(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        started = time.perf_counter()
        answer = execute(sql, params, many, context)
        queries.append((time.perf_counter() - started, str(sql), params))
        return answer

    with connection.execute_wrapper(note):
        act()
    _, sql, params = max(one for one in queries if LARGE.search(one[1]))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(reports.RESOURCES)
        cursor.execute(
            f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) {sql}",
            params,
        )
        lines = [line for (line,) in cursor.fetchall()]
    return "\n".join(_used(lines))


def _used(plan: list[str]) -> Iterator[str]:
    """The lines of a plan without the nodes that were not needed."""
    used = True
    for line in plan:
        if "->" in line:
            used = "never executed" not in line
        if used:
            yield line


def _export() -> dict[str, float]:
    """MB by which memory grows while EXPORTED rows are sent, and the seconds."""
    pieces = exports.request_lines(Usage.objects.all(), "csv")
    next(pieces)
    next(pieces)
    before, sent, started = (
        measure.resident_mb([os.getpid()]),
        exports.PAGE,
        time.monotonic(),
    )
    highest = before
    for _ in pieces:
        sent += exports.PAGE
        highest = max(highest, measure.resident_mb([os.getpid()]))
        if sent >= EXPORTED:
            break
    took = time.monotonic() - started
    return {"rows": sent, "mb": highest - before, "seconds": took}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
