"""The first page: figures of the last day, health and budgets."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from billing.accounting import traffic
from billing.models import Customer, RefusalCount
from llm.models import Model
from tests.admin.rows import (
    make_counter,
    make_override,
    make_refusal,
    make_usage,
)
from tests.billing.alerts.rows import make_alert, make_rule
from tests.fixtures_billing import (
    make_budget,
    make_customer,
    make_model,
    make_provider,
    make_route,
    make_team,
)
from valuecanvas.site import dashboard

INDEX = "/admin/"


def test_last_day__no_requests__zeros_for_every_hour(db: None) -> None:
    day = traffic.last_day()
    assert day.whole == day.today == traffic.TrafficFigures()
    assert day.p95_ms is None
    assert len(day.hours) == 24
    assert day.spenders == []
    assert day.whole.failed_percent == 0


def test_last_day__requests__summed_over_24_hours_only(db: None) -> None:
    now = timezone.now()
    customer = make_customer()
    make_usage(customer, cost_usd=Decimal("0.5"), latency_ms=100)
    make_usage(customer, status="error", cost_usd=0, latency_ms=9000)
    make_usage(customer, cached=True, cost_usd=0, latency_ms=2)
    make_usage(customer, created_at=now - timedelta(hours=25), cost_usd=99)
    whole = traffic.last_day().whole
    assert (whole.requests, whole.failed, whole.cached) == (3, 1, 1)
    assert whole.spend_usd == Decimal("0.5")
    assert whole.failed_percent == whole.cached_percent == 33.3


def test_last_day__hours__hold_what_was_theirs(db: None) -> None:
    now = timezone.now()
    make_usage(created_at=now)
    make_usage(created_at=now - timedelta(hours=5))
    hours = traffic.last_day().hours
    assert [one.requests for _, one in hours if one.requests] == [1, 1]
    assert hours[-1][0].hour == datetime.now(UTC).hour


def test_last_day__before_midnight__is_not_today(db: None) -> None:
    now = timezone.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    make_usage(created_at=now)
    make_usage(created_at=midnight - timedelta(seconds=1))
    day = traffic.last_day()
    assert (day.today.requests, day.whole.requests) == (1, 2)


def test_last_day__p95__of_answers_only(db: None) -> None:
    for at in range(1, 101):
        make_usage(latency_ms=at)
    make_usage(status="error", latency_ms=99_999)
    assert traffic.last_day().p95_ms == 95


def test_last_day__top_spenders__most_first_and_no_more_than_asked(db: None) -> None:
    rows = [make_customer(team=make_team()) for _ in range(4)]
    for at, customer in enumerate(rows):
        make_usage(customer, cost_usd=at)
    gone = rows[3]
    Customer.objects.filter(pk=gone.pk).delete()
    top = traffic.last_day(spenders=3).spenders
    assert [one.spend_usd for one in top] == [3, 2, 1]
    assert (top[0].user_id, top[0].customer_id) == (str(gone.pk), "")
    assert (top[1].user_id, top[1].team) == (rows[2].user_id, rows[2].team_id)


def test_dashboard__empty__says_how_to_begin(boss: Client) -> None:
    text = boss.get(INDEX).content.decode()
    assert "No requests in the last 24 hours" in text
    assert "No providers yet" in text
    assert "No budgets yet" in text


def test_dashboard__traffic__cards_chart_and_spenders(boss: Client) -> None:
    customer = make_customer()
    make_usage(customer, cost_usd=Decimal("1.25"), latency_ms=1500)
    answer = boss.get(INDEX)
    text = answer.content.decode()
    assert "$1.25" in text
    assert customer.user_id in text
    assert "1.50\u00a0s" in text
    chart = json.loads(answer.context["chart"])
    assert sum(chart["datasets"][1]["data"]) == 1


def test_dashboard__health__trouble_and_fine(boss: Client) -> None:
    bad, good = make_provider("bad-one"), make_provider("good-one")
    for provider in (bad, good):
        make_route(provider=provider, upstream_model="its-model")
    make_provider("off", enabled=False)
    make_override(provider=bad, upstream_model="its-model", reason="it is down")
    answer = boss.get(INDEX)
    failing = {
        one["provider"].pk: one["failing"] for one in answer.context["providers"]
    }
    assert failing == {"bad-one": True, "good-one": False, "off": False}
    text = answer.content.decode()
    assert "it is down" in text
    assert "disabled" in text


def test_dashboard__redis_down__says_so(boss: Client, settings: Any) -> None:
    make_route()
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    text = boss.get(INDEX).content.decode()
    assert "Redis does not answer" in text
    assert "unknown" in text


def test_dashboard__budgets__fullest_first(boss: Client) -> None:
    customer = make_customer()
    make_budget(limit="100")
    full = make_budget(customer, limit="1")
    make_budget(make_team(), enabled=False)
    today = timezone.now().date()
    make_counter("c", str(customer.pk), today, spent=900_000)
    shown = boss.get(INDEX).context["budgets"]
    assert len(shown) == 2
    assert shown[0]["budget"] == full


def test_dashboard__more_of_everything__no_more_queries(boss: Client) -> None:
    def grow() -> None:
        make_usage(customer := make_customer())
        make_budget(customer)
        make_route()

    grow()
    boss.get(INDEX)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            boss.get(INDEX)
        counts.append(len(queries))
        for _ in range(2):
            grow()
    assert counts[0] == counts[1]
    assert Model.objects.count() == 5


def test_dashboard__too_much_to_sum__says_so(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "P95", "SELECT pg_sleep(60), %s")
    monkeypatch.setattr(traffic, "TIMEOUT_MS", 30)
    text = boss.get(INDEX).content.decode()
    assert "The figures took too long" in text


def test_dashboard__slow_figures__are_kept_for_a_while(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "SLOW_S", 0)
    make_usage()
    first = boss.get(INDEX).context["cards"]
    make_usage()
    assert boss.get(INDEX).context["cards"] == first
    cache.clear()
    assert boss.get(INDEX).context["cards"] != first


def test_dashboard__quick_figures__are_live(boss: Client) -> None:
    make_usage()
    first = boss.get(INDEX).context["cards"]
    make_usage()
    assert boss.get(INDEX).context["cards"] != first


@pytest.mark.parametrize("rights", [(), ("flags.view_flag", "prompts.view_prompt")])
def test_dashboard__member_of_a_group__is_not_told_to_ask_for_one(
    newcomer: Client, rights: tuple[str, ...]
) -> None:
    group = Group.objects.create(name="<Flag> keepers")
    for right in rights:
        app, codename = right.split(".")
        group.permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    User.objects.get(username="nora").groups.add(group)
    text = newcomer.get(INDEX).content.decode()
    assert "put you into a group" not in text
    assert "&lt;Flag&gt; keepers" in text


def test_dashboard__no_rights__says_whom_to_ask(newcomer: Client) -> None:
    make_usage()
    answer = newcomer.get(INDEX)
    assert "Ask a superuser" in answer.content.decode()
    assert not any(one in answer.context for one in ("cards", "budgets", "breakers"))


# -- month, refusals, and what needs attention ---------------------------------------------


def test_dashboard__money_saved_and_the_month__shown_with_links(boss: Client) -> None:
    today = timezone.now().date()
    make_usage(cached=True, saved_usd=Decimal("0.75"))
    make_counter("g", "", today.replace(day=1), spent=5_000_000)
    make_counter("t", "blue", today.replace(day=1), spent=9_000_000)
    answer = boss.get(INDEX)
    saved = answer.context["cards"][-1]
    assert (saved["title"], saved["value"]) == ("Saved by the cache today", "$0.75")
    month = answer.context["month"]
    assert month["value"] == "$5.00"
    for card in (*answer.context["cards"], month):
        assert boss.get(card["link"]).status_code == 200


def test_dashboard__refusals__by_reason_with_those_only_counted(boss: Client) -> None:
    customer, now = make_customer(), timezone.now()
    for code in ("insufficient_quota", "budget_exceeded", "budget_exceeded"):
        make_refusal(customer, code=code)
    make_refusal(customer, code="model_not_found", created_at=now - timedelta(hours=25))
    RefusalCount.objects.create(minute=now, customer_id=customer.pk, code="insufficient_quota", endpoint="chat", count=7)  # fmt: skip
    answer = boss.get(INDEX)
    assert answer.context["refusals"] == [("insufficient_quota", 8), ("budget_exceeded", 2)]  # fmt: skip
    assert f'{reverse("admin:billing_request_changelist")}?code=insufficient_quota' in answer.content.decode()  # fmt: skip


def test_dashboard__what_needs_attention__the_worst_first(boss: Client) -> None:
    make_alert(make_rule(severity="warning"), dedup_key="a", summary="Budget at 80%", severity="warning")  # fmt: skip
    make_alert(make_rule(severity="critical"), dedup_key="b", summary="Ledger drifts", severity="critical")  # fmt: skip
    make_route(make_model("routed"))
    make_route(make_model("lost"), make_provider(enabled=False))
    make_route(make_model("idle"), enabled=False)
    make_model("off", enabled=False)
    found = boss.get(INDEX).context["attention"]
    assert [one.text for one in found] == [
        "Ledger drifts",
        "Budget at 80%",
        "The model 'idle' has no route to an enabled provider.",
        "The model 'lost' has no route to an enabled provider.",
    ]
    assert all(boss.get(one.link).status_code == 200 for one in found)


def test_dashboard__nothing_wrong__says_so(boss: Client) -> None:
    assert "Nothing does." in boss.get(INDEX).content.decode()


def test_attention__right_to_models_only__no_alerts(newcomer: Client) -> None:
    make_alert(dedup_key="a", summary="Ledger drifts")
    make_model("lost")
    assert newcomer.get(INDEX).context["attention"] is None
    user = User.objects.get(username="nora")
    user.user_permissions.add(Permission.objects.get(codename="view_model"))
    found = newcomer.get(INDEX).context["attention"]
    assert [one.link for one in found] == ["/admin/llm/model/lost/change/"]
