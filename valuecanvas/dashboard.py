"""The admin's first page: traffic, money and health at a glance."""

import json
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest

from billing import spend, traffic
from billing.models import Budget
from llm.breaker import report
from llm.models import Provider
from valuecanvas.core.templatetags import figures

MOST_BUDGETS = 6
MOST_BREAKERS = 8


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What this user may see; each part by the right to see its rows."""
    user = request.user
    if user.has_perm("billing.view_usage"):
        context.update(_traffic())
    if user.has_perm("billing.view_budget"):
        context["budgets"] = _budgets()
    if user.has_perm("llm.view_breakerevent"):
        context.update(_health())
    return context


def _traffic() -> dict[str, Any]:
    try:
        day = traffic.last_day()
    except DatabaseError:
        return {"traffic_slow": True}
    return {
        "cards": _cards(day),
        "chart": _chart(day),
        "chart_options": CHART_OPTIONS,
        "spenders": day.spenders,
        "quiet": day.whole.requests == 0,
    }


def _cards(day: traffic.LastDay) -> list[dict[str, str]]:
    today, whole = day.today, day.whole
    return [
        _card("Requests", figures.grouped(today.requests), figures.grouped(whole.requests)),
        _card("Spend", figures.usd(today.spend_usd), figures.usd(whole.spend_usd)),
        _card("Error rate", f"{today.failed_percent} %", f"{whole.failed_percent} %"),
        _card("Latency, p95", figures.duration(today.p95_ms), figures.duration(whole.p95_ms)),
        _card("Cache hits", f"{today.cached_percent} %", f"{whole.cached_percent} %"),
    ]  # fmt: skip


def _card(title: str, value: str, last_day: str) -> dict[str, str]:
    return {"title": title, "value": value, "last_day": last_day}


def _chart(day: traffic.LastDay) -> str:
    """The data of unfold's chart component: bars of requests, a line of spend."""
    return json.dumps(
        {
            "labels": [f"{hour:%H}:00" for hour, _ in day.hours],
            "datasets": [
                {
                    "label": "Spend (USD)",
                    "type": "line",
                    "yAxisID": "spend",
                    "data": [float(one.spend_usd) for _, one in day.hours],
                    "borderColor": "var(--color-base-500)",
                    "backgroundColor": "var(--color-base-500)",
                    "borderWidth": 2,
                    "pointRadius": 0,
                    "tension": 0.3,
                },
                {
                    "label": "Requests",
                    "data": [one.requests for _, one in day.hours],
                    "backgroundColor": "var(--color-primary-500)",
                    "borderRadius": 3,
                },
            ],
        }
    )


CHART_OPTIONS = json.dumps(
    {
        "responsive": True,
        "maintainAspectRatio": False,
        "animation": False,
        "interaction": {"mode": "index", "intersect": False},
        "plugins": {
            "legend": {"position": "top", "align": "end", "labels": {"boxWidth": 10}}
        },
        "scales": {
            "x": {"grid": {"display": False}, "ticks": {"maxRotation": 0, "autoSkipPadding": 16}},
            "y": {"beginAtZero": True, "ticks": {"precision": 0, "maxTicksLimit": 5}},
            "spend": {
                "position": "right",
                "beginAtZero": True,
                "grid": {"display": False},
                "ticks": {"maxTicksLimit": 5},
            },
        },
    }
)  # fmt: skip


def _budgets() -> list[dict[str, Any]]:
    """The fullest first, of the budgets in force."""
    rows = list(
        Budget.objects.filter(enabled=True)
        .select_related("team", "customer", "api_key")
        .order_by("-limit_usd")[:200]
    )
    found = spend.progress(rows)
    rows.sort(key=lambda one: found[one.pk].fullness, reverse=True)
    return [
        {"budget": one, "progress": found[one.pk]} for one in rows[:MOST_BUDGETS]
    ]


def _health() -> dict[str, Any]:
    try:
        states, down = report.states(), False
    except report.Unreadable:
        states, down = [], True
    bad = [one for one in states if one.state != "closed" or one.throttled_until]
    failing = {one.provider for one in bad}
    return {
        "providers": [
            {"provider": one, "failing": one.key in failing}
            for one in Provider.objects.all()
        ],
        "breakers_down": down,
        "breakers": bad[:MOST_BREAKERS],
        "breakers_fine": len(states) - len(bad),
    }

