"""The dashboard of the admin: traffic, money and health."""

import time
from dataclasses import asdict
from typing import Any

from django.core.cache import cache
from django.db import DatabaseError
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from billing.accounting import spend, traffic
from billing.models import Budget
from billing.refusals import refusal_counts
from llm.breaker import report
from llm.models import Provider
from valuecanvas.backups import history
from valuecanvas.core.admin import charts
from valuecanvas.core.templatetags import figures
from valuecanvas.site import attention

MOST_BUDGETS = 6
MOST_REASONS = 6
MOST_BREAKERS = 8
# Figures that took longer than this, in seconds, are cached for a while.
SLOW_S = 0.3
KEPT = "dashboard.traffic"


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the parts that this user may see, by the right to view their rows."""
    user = request.user
    context["groups"] = list(
        user.groups.order_by("name").values_list("name", flat=True)
    )
    if user.has_perm("billing.view_usage"):
        context.update(_traffic())
        context["month"] = _month()
    if user.has_perm("billing.view_refusal"):
        context["refusals"] = refusal_counts.last_day(MOST_REASONS)
    context["attention"] = attention.find_for(user)
    if user.has_perm("backups.view_backup"):
        context["backups"] = history.status()
    if user.has_perm("billing.view_budget"):
        context["budgets"] = _budgets()
    if user.has_perm("llm.view_breakerevent"):
        context.update(_health())
    return context


def _traffic() -> dict[str, Any]:
    kept: dict[str, Any] | None = cache.get(KEPT)
    if kept:
        return kept
    started = time.monotonic()
    try:
        day = traffic.last_day()
    except DatabaseError:
        return {"traffic_slow": True}
    traffic_context = {
        "cards": _cards(day),
        "chart": _chart(day),
        "chart_options": charts.TRAFFIC_OPTIONS,
        "spenders": [_spender(one) for one in day.spenders],
        "quiet": day.whole.requests == 0,
    }
    took = time.monotonic() - started
    if took > SLOW_S:
        # Cached, so that the dashboard does not add load to a busy ledger.
        cache.set(KEPT, traffic_context, timeout=min(60, max(1, round(20 * took))))
    return traffic_context


def _cards(day: traffic.LastDay) -> list[dict[str, str]]:
    today, whole = day.today, day.whole

    rows = reverse("admin:billing_request_changelist")
    since = f"created_at_from_0={timezone.now():%Y-%m-%d}"

    def card(title: str, value: str, last_day: str, chosen: str = "") -> dict[str, str]:
        note = f"{last_day} in 24 hours"
        link = f"{rows}?{since}{chosen}"
        return {"title": title, "value": value, "note": note, "link": link}

    return [
        card(
            "Requests today",
            figures.commas(today.requests),
            figures.commas(whole.requests),
        ),
        card("Spend today", figures.usd(today.spend_usd), figures.usd(whole.spend_usd)),
        card(
            "Error rate today",
            f"{today.failed_percent}\u00a0%",
            f"{whole.failed_percent}\u00a0%",
            "&outcome=failed",
        ),
        {
            "title": "Latency, p95",
            "value": figures.duration(day.p95_ms),
            "note": f"of the newest {figures.commas(traffic.LATENCIES)} answers",
            "link": f"{rows}?outcome=ok",
        },
        card(
            "Cache hits today",
            f"{today.cached_percent}\u00a0%",
            f"{whole.cached_percent}\u00a0%",
            "&cached=1",
        ),
        card(
            "Saved by the cache today",
            figures.usd(today.saved_usd),
            figures.usd(whole.saved_usd),
            "&cached=1",
        ),
    ]


def _month() -> dict[str, str]:
    """What was spent this month, and what will be by its end."""
    now = timezone.now()
    month = spend.progress_this_month()
    forecast = month.forecast(now)
    note = "too early for a forecast"
    if forecast is not None:
        note = f"about {figures.micros(forecast)} by {month.end:%B %d}"
    return {
        "title": f"Spend in {now:%B}",
        "value": figures.micros(month.usage.spent),
        "note": note,
        "link": f"{reverse('admin:billing_counter_changelist')}?scope=g",
    }


def _spender(one: traffic.Spender) -> dict[str, str | int]:
    return {**asdict(one), "spend_usd": figures.usd(one.spend_usd)}


def _chart(day: traffic.LastDay) -> str:
    return charts.traffic(
        [f"{hour:%H}:00" for hour, _ in day.hours],
        [float(one.spend_usd) for _, one in day.hours],
        [one.requests for _, one in day.hours],
    )


def _budgets() -> list[dict[str, Any]]:
    """The enabled budgets, the fullest first."""
    rows = list(
        Budget.objects.filter(enabled=True)
        .select_related("team", "customer", "api_key")
        .order_by("-limit_usd")[:200]
    )
    found = spend.budget_progress(rows)
    rows.sort(key=lambda one: found[one.pk].fullness, reverse=True)
    return [{"budget": one, "progress": found[one.pk]} for one in rows[:MOST_BUDGETS]]


def _health() -> dict[str, Any]:
    try:
        states, down = report.states(), False
    except report.UnreadableReport:
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
