"""S14: events that change no row: log-ins, refusals, exports, acts of the console."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.fixtures_billing import make_customer
from valuecanvas.core.models import AuditEntry

pytestmark = pytest.mark.django_db
LOGIN = "/admin/login/"


def enter(client: Client, password: str) -> int:
    sent = {"username": "boss", "password": password}
    return client.post(LOGIN, sent, REMOTE_ADDR="192.0.2.9").status_code


def events(**fields: object) -> list[tuple[str, str, str]]:
    found = AuditEntry.objects.filter(action__contains=".", **fields).order_by("id")
    return list(found.values_list("action", "actor", "label"))


def test_logins__failed_locked_and_right__are_recorded(settings):
    settings.LOGIN_FAILURES = 3
    User.objects.create_superuser("boss", password="right one")
    client = Client()
    assert enter(client, "right one") == 302
    client.post("/admin/logout/")
    for _ in range(50):
        enter(Client(), "guess")
    assert events() == [
        ("login.succeeded", "boss", "boss"),
        ("login.ended", "boss", "boss"),
        ("login.failed", "anonymous", "boss"),
        ("login.failed", "anonymous", "boss"),
        ("login.locked", "anonymous", "boss"),
    ]
    assert AuditEntry.objects.get(action="login.locked").address == "192.0.2.9"


def test_login__with_a_reason_that_no_text_column_takes__is_recorded():
    answer = Client().post(
        LOGIN, {"username": "boss", "password": "x", "reason": "a\0b"}
    )
    assert answer.status_code == 200
    assert AuditEntry.objects.get(action="login.failed").reason == "ab"


def test_pages__that_staff_may_not_open__are_recorded():
    client = Client()
    client.force_login(User.objects.create_user("nora", is_staff=True))
    assert client.get("/admin/billing/tier/").status_code == 403
    assert events() == [("access.refused", "nora", "GET /admin/billing/tier/")]


def test_export__of_a_customer__is_recorded():
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    customer = make_customer("anna")
    client.get(f"/admin/billing/customer/{customer.pk}/export/")
    assert events() == [
        ("data.exported", "boss", f"customer-{customer.pk}.ndjson")
    ]  # fmt: skip
    entry = AuditEntry.objects.get(action="acted")
    assert (entry.object_id, entry.after) == (
        str(customer.pk),
        {"message": "Exported."},
    )
