"""Export and erasure of one customer: all of it, and nothing of another."""

import json
import tracemalloc
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.models import LogEntry
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum
from django.test import Client
from django.utils import timezone

from billing.models import ApiKey, Customer, IdempotencyKey, Refusal, Usage
from llm.models import CacheEpoch, Feedback, Job, JobBatch, JobFile, RecurringJob
from llm.privacy import customer_export, erasure
from tests.admin.conftest import boss, groups, operator
from tests.admin.job_rows import make_batch, make_job, make_job_file, make_recurring
from tests.admin.page_forms import words
from tests.admin.rows import (
    make_feedback,
    make_refusal,
    make_reservation,
    make_usage,
)
from tests.fixtures_billing import make_api_key, make_customer, make_team
from valuecanvas.core.errors import Conflict
from valuecanvas.core.ids import uuid7
from valuecanvas.core.models import WebhookEndpoint
from valuecanvas.core.webhooks.outbox import queue

__all__ = ["boss", "groups", "operator"]

pytestmark = pytest.mark.django_db


def fill(customer: Customer) -> None:
    """A row of each kind that names the customer, all ended."""
    owner = {"customer_id": customer.pk, "user_id": customer.user_id}
    make_usage(customer, end_user="Anna B", subject=7)
    make_usage(customer, status="error", cost_usd=Decimal("0.5"), subject=8)
    make_refusal(customer)
    make_feedback(**owner, comment="My name is Anna", subject=7)
    make_job(**owner, state="succeeded")
    make_job_file(**owner)
    make_batch(**owner, state="completed")
    make_recurring(customer=customer)
    make_api_key(customer, name="Anna's laptop")
    queue(f"customer:{customer.pk}", "https://anna.example/", "job.succeeded", {})
    now = timezone.now()
    IdempotencyKey.objects.create(
        id=customer.pk.hex, customer_id=customer.pk, fingerprint="f",
        request_id=customer.pk, body=b"Anna", created_at=now, expires_at=now,
    )  # fmt: skip


@pytest.fixture
def twins() -> tuple[Customer, Customer]:
    """Two customers of one user id, with rows of each kind."""
    red = make_customer("anna", team=make_team("red"))
    blue = make_customer("anna", team=make_team("blue"))
    fill(red)
    fill(blue)
    return red, blue


def suspend(customer: Customer) -> None:
    Customer.objects.filter(pk=customer.pk).update(suspended=True)


def exported(customer: Customer) -> list[dict[str, Any]]:
    lines = b"".join(customer_export.export_lines(customer)).splitlines()
    return [json.loads(line) for line in lines]


def test_export__of_one_customer__has_each_kind_and_no_secret(
    twins: tuple[Customer, Customer],
) -> None:
    red, blue = twins
    found = exported(red)
    kinds = Counter(one["kind"] for one in found)
    assert kinds == {
        "customer": 1, "key": 1, "usage": 2, "refusal": 1, "feedback": 1, "job": 1,
        "job_file": 1, "job_batch": 1, "recurring_job": 1,
    }  # fmt: skip
    text = json.dumps(found)
    assert str(red.pk) in text
    assert str(blue.pk) not in text
    [key] = [one["row"] for one in found if one["kind"] == "key"]
    assert ApiKey.objects.get(pk=key["prefix"]).digest not in text
    assert not {"digest", "sealed"} & {name for one in found for name in one["row"]}


def test_export__many_rows__each_once_in_constant_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(customer_export, "PAGE", 50)
    customer = make_customer()
    one = make_usage(customer)
    rows = [Usage(**{**_values(one), "id": uuid7()}) for _ in range(2_000)]
    Usage.objects.bulk_create(rows)
    del rows
    tracemalloc.start()
    seen, size = set(), 0
    for piece in customer_export.export_lines(customer):
        size += len(piece)
        seen |= {hash(line) for line in piece.splitlines()}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(seen) == 2_002
    assert peak < size


def _values(row: Usage) -> dict[str, Any]:
    return {one.attname: getattr(row, one.attname) for one in Usage._meta.concrete_fields}  # fmt: skip


def test_erase__one_of_two__names_go_and_sums_stay(
    twins: tuple[Customer, Customer],
) -> None:
    red, blue = twins
    suspend(red)
    mine = Usage.objects.filter(customer_id=red.pk)
    before = mine.aggregate(Sum("cost_usd"), Sum("prompt_tokens"))
    other = exported(blue)
    assert erasure.erase(red.pk) == 2
    assert mine.aggregate(Sum("cost_usd"), Sum("prompt_tokens")) == before
    assert {(u.user_id, u.end_user, u.subject) for u in mine} == {("erased", "", None)}
    red.refresh_from_db()
    assert red.user_id == f"erased-{red.pk}"
    assert "Anna" not in json.dumps(exported(red))
    assert Feedback.objects.get(customer_id=red.pk).score == 1
    owned = {"customer_id": red.pk}
    for model in (Refusal, IdempotencyKey, Job, JobBatch, JobFile, RecurringJob):
        assert not model._default_manager.filter(**owned).exists()
    assert not WebhookEndpoint.objects.filter(owner=f"customer:{red.pk}").exists()
    assert ApiKey.objects.get(customer=red).revoked_at is not None
    assert CacheEpoch.objects.get().target == f"customer:{red.pk}"
    assert exported(blue) == other
    assert erasure.erase(red.pk) == 0


def test_erase__in_steps__reaches_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "AT_A_TIME", 2)
    customer = make_customer(suspended=True)
    for _ in range(5):
        make_usage(customer)
    assert erasure.erase(customer.pk) == 5
    assert set(Usage.objects.values_list("user_id", flat=True)) == {"erased"}


@pytest.mark.parametrize("open_one", ["active", "request", "job"])
def test_erase__while_something_is_open__is_refused_and_changes_nothing(
    open_one: str,
) -> None:
    customer = make_customer("anna", suspended=open_one != "active")
    make_usage(customer)
    if open_one == "request":
        make_reservation(customer_id=customer.pk)
    if open_one == "job":
        make_job(customer_id=customer.pk, state="queued")
    with pytest.raises(Conflict):
        erasure.erase(customer.pk)
    assert Usage.objects.get().user_id == "anna"
    customer.refresh_from_db()
    assert customer.user_id == "anna"


@pytest.mark.parametrize(
    "change",
    [
        "user_id = 'erased', end_user = '', subject = NULL, cost_usd = 0",
        "user_id = 'erased', end_user = '', subject = NULL, status = 'ok2'",
        "user_id = 'somebody', end_user = '', subject = NULL",
        "user_id = 'erased', end_user = 'x', subject = NULL",
        "user_id = 'erased', end_user = '', subject = 3",
        "user_id = 'erased', end_user = '', subject = NULL, customer_id = gen_random_uuid()",
    ],
)
def test_ledger__any_other_change__is_refused_by_the_database(change: str) -> None:
    row = make_usage()
    with pytest.raises(IntegrityError, match="append-only"):
        _update(change, str(row.customer_id))


def test_ledger__erasure_of_another_customer_or_of_none__is_refused() -> None:
    row = make_usage()
    change = "user_id = 'erased', end_user = '', subject = NULL"
    for named in (str(make_customer().pk), ""):
        with pytest.raises(IntegrityError, match="append-only"):
            _update(change, named)
    _update(change, str(row.customer_id))
    with pytest.raises(IntegrityError), transaction.atomic():
        Usage.objects.all()._raw_delete("default")


def _update(change: str, named: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('valuecanvas.erased_customer', %s, true)", [named])  # fmt: skip
        cursor.execute("UPDATE llm_usage SET " + change)  # noqa: S608 (a test's own)


async def _body(answer: Any) -> bytes:
    return b"".join([piece async for piece in answer.streaming_content])


def test_admin__export__streams_and_is_recorded(
    boss: Client, operator: Client, twins: tuple[Customer, Customer]
) -> None:
    page = f"/admin/billing/customer/{twins[0].pk}/export/"
    assert operator.get(page).status_code == 403
    answer = boss.get(page)
    lines = async_to_sync(_body)(answer).splitlines()
    assert [json.loads(one) for one in lines] == exported(twins[0])
    assert "no-store" in answer["Cache-Control"]
    assert LogEntry.objects.get().change_message == "Exported."


def test_admin__erase__asks_acts_and_is_recorded_without_the_name(
    boss: Client, operator: Client, twins: tuple[Customer, Customer]
) -> None:
    customer = twins[0]
    page = f"/admin/billing/customer/{customer.pk}/erase/"
    assert operator.post(page, {"reason": "Asked."}).status_code == 403
    assert "This cannot be undone." in words(boss.get(page))
    refused = words(boss.post(page, {"reason": "Asked."}))
    assert "Suspend the customer first" in refused
    boss.post(f"/admin/billing/customer/{customer.pk}/suspend/", {"reason": "To erase."})  # fmt: skip
    answer = boss.post(page, {"reason": "Asked."}, follow=True)
    assert "The customer is erased, with 2 rows of the ledger." in words(answer)
    entries = LogEntry.objects.values_list("object_repr", "change_message")
    assert ("Erased, with 2 rows of the ledger: Asked.") in [text for _, text in entries]  # fmt: skip
    assert not [name for name, _ in entries if name.startswith("anna")]
