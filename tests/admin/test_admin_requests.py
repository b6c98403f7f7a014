"""The list of all requests, and the page of one that was refused."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from billing.models import Refusal, RefusalCount
from tests.admin.rows import make_attempt, make_refusal, make_replay, make_usage
from tests.fixtures_billing import make_api_key, make_budget, make_customer, make_team
from valuecanvas.core.admin import large_table

LIST = "/admin/billing/request/"
QUOTA = {
    "scope": "customer", "owner": "", "name": "requests_per_day", "unit": "requests",
    "used": 10, "held": 0, "limit": 10, "resets_at": "2026-11-30T00:00:00+00:00",
    "refused": True,
}  # fmt: skip


def found(client: Client, **query: str) -> list[UUID]:
    return [row.pk for row in client.get(LIST, query).context["cl"].result_list]


def page(client: Client, row: Refusal) -> str:
    url = reverse("admin:billing_refusal_change", args=[row.pk])
    return client.get(url).content.decode()


def budget_limit(scope: str, owner: object = "") -> dict[str, Any]:
    return {
        "scope": scope, "owner": str(owner), "name": "budget_day", "unit": "usd",
        "used": 0.75, "held": 0.25, "limit": 1.0, "resets_at": None, "refused": True,
    }  # fmt: skip


def test_list__served_and_refused__are_in_one_order(boss: Client) -> None:
    now = timezone.now()
    old = make_usage(created_at=now - timedelta(minutes=3))
    middle = make_refusal(created_at=now - timedelta(minutes=2))
    new = make_usage(status="error", error_code="upstream_timeout")
    assert found(boss) == [new.pk, middle.pk, old.pk]
    text = boss.get(LIST).content.decode()
    assert "refused: model not found" in text
    assert "upstream timeout" in text


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"outcome": "ok"}, ["ok"]),
        ({"outcome": "failed"}, ["failed"]),
        ({"outcome": "refused"}, ["quota", "unknown"]),
        ({"outcome": "replayed"}, ["replay"]),
        ({"outcome": "correction"}, ["correction"]),
        ({"code": "insufficient_quota"}, ["quota"]),
        ({"code": "upstream_timeout"}, ["failed"]),
        ({"model": "gone"}, ["unknown"]),
        ({"cached": "1"}, ["ok"]),
        ({"prompt_key": "p.9"}, ["ok"]),
    ],
)
def test_filter__one_condition__finds_those_of_both_tables(
    boss: Client, query: dict[str, str], wanted: list[str]
) -> None:
    rows: dict[str, Any] = {
        "ok": make_usage(cached=True, prompt_key="p.9"),
        "failed": make_usage(status="error", error_code="upstream_timeout"),
        "correction": make_usage(status="correction"),
        "quota": make_refusal(code="insufficient_quota"),
        "unknown": make_refusal(model="gone", status=404),
    }
    rows["replay"] = make_replay(rows["failed"])
    assert {*found(boss, **query)} == {rows[name].pk for name in wanted}


def test_search__each_way__finds_served_and_refused(boss: Client) -> None:
    key, text = make_api_key()
    served = make_usage(key.customer, key=key.pk, end_user="label-1")
    refused = make_refusal(key.customer, key=key.pk)
    again = make_replay(served, key=key.pk)
    make_usage(), make_refusal(), make_replay()
    both = {served.pk, refused.pk, again.pk}
    for asked in (key.pk, text, f"vc-{key.pk}-…", served.user_id):
        assert {*found(boss, q=asked)} == both, asked
    assert found(boss, q=str(refused.pk)) == [refused.pk]
    assert found(boss, q=str(served.pk)) == [served.pk]
    assert found(boss, q=str(again.pk)) == [again.pk]
    assert found(boss, q="label-1") == [served.pk]


def test_customer__its_link_to_requests__shows_its_refusals(boss: Client) -> None:
    customer = make_customer()
    wanted = make_refusal(customer)
    make_refusal()
    assert found(boss, customer_id=str(customer.pk)) == [wanted.pk]
    url = reverse("admin:billing_customer_change", args=[customer.pk])
    assert f"{LIST}?customer_id={customer.pk}" in boss.get(url).content.decode()


def test_row__opened__is_the_page_of_its_own_table(boss: Client) -> None:
    for row, words in (
        (make_usage(), "Failed attempts of this request"),
        (make_refusal(), "Why this request was refused"),
        (make_replay(), "Replay of request"),
    ):
        url = reverse("admin:billing_request_change", args=[row.pk])
        assert words in boss.get(url).content.decode()
        assert boss.post(url, {}).status_code == 403


def test_list__many_rows__guessed_by_both_tables(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_table, "MOST_ROWS", 3)
    for _ in range(2):
        make_usage(), make_refusal()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE llm_usage")
        cursor.execute("ANALYZE billing_refusal")
    with CaptureQueriesContext(connection) as queries:
        answer = boss.get(LIST)
    assert "about 4 requests" in answer.content.decode()
    assert not any("COUNT" in one["sql"] for one in queries)


@pytest.mark.parametrize(("who", "status"), [("auditor", 200), ("newcomer", 403)])
def test_rights__to_see_the_ledger__are_those_of_the_list(
    request: pytest.FixtureRequest, who: str, status: int
) -> None:
    client = request.getfixturevalue(who)
    row = make_refusal()
    assert client.get(LIST).status_code == status
    url = reverse("admin:billing_refusal_change", args=[row.pk])
    assert client.get(url).status_code == status


def test_page__quota__says_where_it_stood_with_links_and_remedy(boss: Client) -> None:
    key, _ = make_api_key()
    row = make_refusal(
        key.customer,
        key=key.pk,
        code="insufficient_quota",
        limits=[QUOTA],
        retry_at=timezone.now(),
    )
    text = page(boss, row)
    assert "The requests a day of this customer had 10 used of 10." in text
    assert "It could pass from" in text
    assert "give it a higher tier" in text
    for name, pk in (
        ("tier", key.customer.tier_id),
        ("apikey", key.pk),
        ("customer", key.customer_id),
    ):
        assert reverse(f"admin:billing_{name}_change", args=[pk]) in text
    assert "<strong>refused</strong>" in text
    assert "2026-11-30 00:00:00" in text


@pytest.mark.parametrize("scope", ["global", "team", "customer", "key"])
def test_page__budget__links_to_the_one_that_refused(boss: Client, scope: str) -> None:
    team = make_team()
    customer = make_customer(team=team)
    key, _ = make_api_key(customer)
    target: Any = {"team": team, "customer": customer, "key": key}.get(scope)
    budget = make_budget(target)
    other = make_budget(make_customer())
    limit = budget_limit(scope, target.pk if target else "")
    row = make_refusal(customer, code="budget_exceeded", limits=[limit], max_tokens=12)
    text = page(boss, row)
    assert "had $0.75 used and $0.25 held for requests under way of $1.00." in text
    assert "A max_tokens of at most 12 would have passed." in text
    assert reverse("admin:billing_budget_change", args=[budget.pk]) in text
    assert reverse("admin:billing_budget_change", args=[other.pk]) not in text


def test_page__no_limit_looked_at__gives_the_message(boss: Client) -> None:
    row = make_refusal(message="There is no model '<b>'.")
    text = page(boss, row)
    assert "There is no model &#x27;&lt;b&gt;&#x27;. Make sure that the model" in text
    assert "before any limit was looked at" in text


def test_page__unknown_caller_and_code__says_what_is_known(boss: Client) -> None:
    row = make_refusal(user_id="", code="odd", key="gone")
    Refusal.objects.filter(pk=row.pk).update(customer_id=None)
    text = page(boss, row)
    assert "The client must change its request" in text
    assert "unknown" in text


def test_page__more_of_the_minute_were_counted__says_how_many(boss: Client) -> None:
    row = make_refusal()
    minute = row.created_at.replace(second=0, microsecond=0)
    assert row.customer_id is not None
    for endpoint, count in (("chat", 1000), ("responses", 234)):
        RefusalCount.objects.create(
            minute=minute, customer_id=row.customer_id, code=row.code,
            endpoint=endpoint, count=count,
        )  # fmt: skip
    assert "1,234 more of this caller" in page(boss, row)


def test_page__limit_of_unknown_amount__has_a_dash(boss: Client) -> None:
    passed = {**QUOTA, "refused": False, "used": None, "resets_at": None}
    row = make_refusal(limits=[passed])
    assert "passed" in page(boss, row)


def test_page__replay__links_to_the_request_that_was_answered_first(
    boss: Client,
) -> None:
    first = make_usage()
    row = make_replay(first)
    url = reverse("admin:billing_idempotentreplay_change", args=[row.pk])
    text = boss.get(url).content.decode()
    assert f"Replay of request {first.pk}: the answer" in text
    assert f'href="{reverse("admin:billing_request_change", args=[first.pk])}"' in text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Answered by some-provider, after some-provider failed (503). It cost $0.01."),
        ({"cached": True}, "Answered from the cache: no provider was called."),
        ({"cached": True, "marks": ["coalesced"]}, "an identical request under way got"),
        ({"marks": ["unpriced"]}, "a stand-in price was billed."),
        ({"flags": {"tone": "warm"}}, "Flags: tone = warm."),
        ({"prompt_key": "hi", "prompt_version": 3, "variant": "greet/b"}, "version 3, variant &#x27;greet/b&#x27;."),
    ],
)  # fmt: skip
def test_page__served__says_how(
    boss: Client, fields: dict[str, Any], words: str
) -> None:
    row = make_usage(cost_usd="0.01", **fields)
    if not fields:
        make_attempt(request_id=row.pk)
    url = reverse("admin:billing_usage_change", args=[row.pk])
    assert words in boss.get(url).content.decode()
