"""Old bookkeeping goes, in helpings; what money or a process needs stays."""

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from billing import tasks
from billing.accounting import purge
from billing.models import Counter, IdempotentReplay, LedgerCheck, Refusal, RefusalCount
from tests.clock import today
from valuecanvas.core.ids import uuid7
from valuecanvas.core.models import Change, FormResult

NONE = {
    "counters": 0,
    "changes": 0,
    "form_results": 0,
    "alerts": 0,
    "webhooks": 0,
    "refusals": 0,
    "replays": 0,
    "refusal_counts": 0,
    "checks": 0,
}


def make_counter(number: int, days_ago: int, **amounts: int) -> Counter:
    day = today() - dt.timedelta(days=days_ago)
    return Counter.objects.create(
        key=f"c:{number}:{day}", scope="c", scope_id=str(number), day=day, **amounts
    )


def make_change(days_ago: float) -> Change:
    change = Change.objects.create(epoch=1, kind="tier", key="x")
    at = timezone.now() - dt.timedelta(days=days_ago)
    Change.objects.filter(pk=change.pk).update(created_at=at)
    return change


@pytest.mark.django_db
def test_purge__old_counters__keeps_those_with_money_and_recent_ones(
    settings: Any,
) -> None:
    settings.USAGE_RETENTION_DAYS = 100
    make_counter(1, 101, used=3)
    kept = [
        make_counter(2, 101, spent=1),
        make_counter(3, 101, reserved=1),
        make_counter(4, 100, used=3),
    ]
    assert tasks.purge_old() == {**NONE, "counters": 1}
    assert set(Counter.objects.all()) == set(kept)


@pytest.mark.django_db
def test_purge__old_changes__go_after_two_days() -> None:
    make_change(2.1)
    kept = make_change(1.9)
    assert purge.purge() == {**NONE, "changes": 1}
    assert [*Change.objects.all()] == [kept]


@pytest.mark.django_db
def test_purge__results_of_forms__go_when_their_time_is_over() -> None:
    now = timezone.now()
    FormResult.objects.create(pk="old", body=b"", until=now)
    kept = FormResult.objects.create(
        pk="new", body=b"", until=now + dt.timedelta(hours=1)
    )
    assert purge.purge() == {**NONE, "form_results": 1}
    assert [*FormResult.objects.all()] == [kept]


def make_check(days_ago: int, *, ok: bool) -> LedgerCheck:
    at = timezone.now() - dt.timedelta(days=days_ago)
    return LedgerCheck.objects.create(
        started_at=at, finished_at=at, last_day=today(), ok=ok, findings=[], by="a test"
    )


@pytest.mark.django_db
def test_purge__old_checks__stay_where_something_was_amiss() -> None:
    make_check(91, ok=True)
    kept = {make_check(89, ok=True), make_check(91, ok=False)}
    assert purge.purge()["checks"] == 1
    assert {*LedgerCheck.objects.all()} == kept


@pytest.mark.django_db
def test_purge__more_than_one_helping__removes_them_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(purge, "AT_A_TIME", 2)
    for number in range(5):
        make_counter(number, 500)
    assert purge.purge()["counters"] == 5


def make_refusal(days_ago: float) -> Refusal:
    at = timezone.now() - dt.timedelta(days=days_ago)
    return Refusal.objects.create(id=uuid7(), created_at=at, status=429)


def make_replay(days: float) -> IdempotentReplay:
    at = timezone.now() - dt.timedelta(days=days)
    return IdempotentReplay.objects.create(
        id=uuid7(), created_at=at, original_id=uuid7(), customer_id=uuid7()
    )


@pytest.mark.django_db
def test_purge__old_refusals__go_after_the_days_of_the_setting(settings: Any) -> None:
    settings.REFUSALS_KEEP_DAYS = 3
    make_refusal(3.1)
    kept = make_refusal(2.9)
    for days in (2, 4):
        minute = timezone.now() - dt.timedelta(days=days)
        RefusalCount.objects.create(minute=minute, customer_id=uuid7(), count=5)
    replays = [make_replay(days) for days in (3.1, 2.9)]
    expected = {**NONE, "refusals": 1, "replays": 1, "refusal_counts": 1}
    assert purge.purge() == expected
    assert IdempotentReplay.objects.get() == replays[1]
    assert [*Refusal.objects.all()] == [kept]
    assert RefusalCount.objects.count() == 1
