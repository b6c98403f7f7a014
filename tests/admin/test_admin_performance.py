"""The Performance page: who may see it, what it says without figures, and its charts."""

import json
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from tests.admin.rows import make_refusal, make_usage
from tests.fixtures_billing import make_customer
from valuecanvas.performance import measurement

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/admin/metrics/"


def plots(answer: Any) -> dict[str, dict[str, list[float]]]:
    """Of each chart its series."""
    return {
        one["title"]: {line["label"]: line["data"] for line in json.loads(one["data"])["datasets"]}
        for one in answer.context["plots"]
    }  # fmt: skip


def test_performance__by_who_asks__needs_the_right(
    auditor: Client, newcomer: Client
) -> None:
    answer = auditor.get(PAGE)
    assert b"No requests in this time" in answer.content
    assert [one["state"] for one in answer.context["targets"]] == ["not judged"] * 6
    assert b"Performance</span>" in answer.content
    assert newcomer.get(PAGE).status_code == 403
    assert newcomer.get(f"{PAGE}text/").status_code == 403
    assert b"Performance</span>" not in newcomer.get("/admin/").content


def test_performance__last_hour__draws_what_happened(boss: Client) -> None:
    ann = make_customer("ann")
    for provider in "abcdefg":
        make_usage(ann, provider=provider, cached=provider == "a", latency_ms=2000)
    make_usage(ann, provider="", status="error")
    make_refusal(ann)
    drawn = plots(boss.get(f"{PAGE}?span=hour"))
    assert sum(drawn["Requests"]["Requests"]) == 8
    assert sum(drawn["Errors and refusals"]["Failed"]) == 1
    assert sum(drawn["Errors and refusals"]["Refused to callers (4xx)"]) == 1
    assert max(one or 0 for one in drawn["Latency"]["p95"]) == pytest.approx(2, rel=0.03)  # fmt: skip
    assert max(one or 0 for one in drawn["Cache hits"]["Cache hits"]) == 12.5
    providers = drawn["Requests by provider"]
    assert len(providers) == 6
    assert sum(providers["all others"]) == 3
    assert all(len(line) == 60 for chart in drawn.values() for line in chart.values())


def test_performance__asked_again__is_read_once_in_some_seconds(boss: Client) -> None:
    boss.get(f"{PAGE}?span=hour")
    make_usage(make_customer("ann"))
    assert boss.get(f"{PAGE}?span=hour").context["requests"] == 0
    cache.clear()
    assert boss.get(f"{PAGE}?span=hour").context["requests"] == 1


def test_performance__figures_take_too_long__says_so(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurement, "_FAILED", "SELECT now(), pg_sleep(1)")
    monkeypatch.setattr(measurement, "TIMEOUT_MS", 1)
    answer = boss.get(f"{PAGE}?span=nonsense")
    assert answer.context["chosen"] == "day"
    assert b"The figures took too long" in answer.content


def test_performance__links__to_the_text_and_to_grafana(
    boss: Client, settings: Settings
) -> None:
    text = reverse("admin:metrics_text")
    answer = boss.get(PAGE).content.decode()
    assert (text in answer, "Grafana" in answer) == (True, False)
    settings.GRAFANA_URL = "https://grafana.example/?a=1&b=2"
    assert "https://grafana.example/?a=1&amp;b=2" in boss.get(PAGE).content.decode()
    assert boss.get(text)["Content-Type"].startswith("text/plain")
