"""S14: the timeline: filters, sentences, export, and who may look."""

import csv
import io
from typing import Any

import orjson
import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.test import Client

from tests.fixtures_billing import make_price, make_provider, make_route, make_tier
from valuecanvas.core.audit.audit_context import use_actor
from valuecanvas.core.audit.record import record
from valuecanvas.core.audit.sentences import describe, find_names
from valuecanvas.core.models import AuditEntry

pytestmark = pytest.mark.django_db
PAGE = "/admin/core/auditentry/"


def auditor(*rights: str) -> Client:
    user = User.objects.create_user("arno", is_staff=True)
    for right in rights:
        user.user_permissions.add(Permission.objects.get(codename=right))
    client = Client()
    client.force_login(user)
    return client


def listed(client: Client, **filters: str) -> list[AuditEntry]:
    answer = client.get(PAGE, filters)
    assert answer.status_code == 200
    return list(answer.context["cl"].result_list)


def test_sentence__of_a_changed_price__names_fields_and_values():
    price = make_price("openai", "gpt-4o-mini", usd="0.15")
    price.input_usd = "0.30"
    price.save()
    entry = AuditEntry.objects.filter(kind="billing.price").latest("id")
    assert describe(entry) == "changed price openai gpt-4o-mini: input 0.15 → 0.3"


def test_sentence__of_a_reference__names_the_row():
    route = make_route()
    route.provider = make_provider(name="Other house")
    route.save()
    entry = AuditEntry.objects.filter(kind="llm.route").latest("id")
    assert "→ Other house" in describe(entry, find_names([entry]))


def test_sentence__of_a_password__says_that_it_was_replaced():
    user = User.objects.create_user("bob", password="one")
    user.set_password("two")
    user.save()
    entry = AuditEntry.objects.filter(kind="auth.user").latest("id")
    assert describe(entry) == "changed user bob: password replaced"


ODD_VALUES: tuple[Any, ...] = (
    None, "", 0, 1.5, True, "x" * 500, "<b>", [], [1, "a"], [{"a": 1}], [[1]], {}, {"a": {"b": [1]}},
)  # fmt: skip


def test_describe__values_of_any_kind_in_every_column__are_text() -> None:
    """The database holds what it wants: a column may have been of another type."""
    for model in apps.get_models():
        for column in (one.column for one in model._meta.concrete_fields):
            for value in ODD_VALUES:
                entry = AuditEntry(
                    action="changed", kind=model._meta.label_lower, object_id="1", label="",
                    before={column: value}, after={column: [value]},
                )  # fmt: skip
                text = describe(entry, find_names([entry]))
                assert text.startswith("changed "), (model, column, value)


def test_filters__of_the_timeline__find_their_entries():
    client = auditor("view_auditentry")
    with use_actor("alice", "person", "192.0.2.7", "by ticket 4711"):
        make_tier("gold", name="Golden years")
    with use_actor("task x", "task"):
        record("login.locked", label="mallory")
    for filters in (
        {"actor": "alice"}, {"address": "192.0.2.7"}, {"object_id": "gold"},
        {"q": "golden"}, {"q": "4711"}, {"q": "gold"},
        {"kind": "billing.tier", "what": "created"},
    ):  # fmt: skip
        assert [one.label for one in listed(client, **filters)] == ["Golden years"], (
            filters
        )
    for filters in (
        {"by": "task"},
        {"what": "login"},
        {"q": "mallory", "recent": "1h"},
    ):
        assert [one.label for one in listed(client, **filters)] == ["mallory"], filters
    assert listed(client, actor="nobody") == []


def test_entry__of_a_change__shows_before_and_after_and_its_siblings():
    client = auditor("view_auditentry")
    tier = make_tier("gold", daily_requests=5)
    tier.daily_requests = 6
    tier.save()
    entry = AuditEntry.objects.filter(kind="billing.tier").latest("id")
    page = client.get(f"{PAGE}{entry.pk}/change/").content.decode()
    assert "<td>daily requests</td><td>5</td><td>6</td>" in page
    assert "object_id=gold" in page


def test_history__of_an_object__leads_to_its_timeline():
    make_tier("gold")
    client = auditor("view_auditentry", "view_tier")
    answer = client.get("/admin/billing/tier/gold/history/", follow=True)
    assert [one.object_id for one in answer.context["cl"].result_list] == ["gold"]
    other = Client()
    other.force_login(User.objects.create_superuser("boss2", is_superuser=True))
    assert other.get("/admin/billing/tier/gold/history/").status_code == 302


def test_timeline__without_the_right__is_refused():
    client = auditor("view_tier")
    record("x")
    assert client.get(PAGE).status_code == 403
    assert client.get(f"{PAGE}export.csv").status_code == 403
    key = AuditEntry.objects.latest("id").pk
    assert client.get(f"{PAGE}{key}/change/").status_code == 403


def _file(answer: Any) -> str:
    async def read() -> bytes:
        return b"".join([piece async for piece in answer.streaming_content])

    return async_to_sync(read)().decode()


def test_export__with_filters__is_safe_and_is_recorded():
    client = auditor("view_auditentry")
    with use_actor("alice", "person"):
        make_tier("evil", name="=cmd|'/c calc'!A1")
    rows = list(
        csv.DictReader(io.StringIO(_file(client.get(f"{PAGE}export.csv?actor=alice"))))
    )
    assert [row["label"] for row in rows] == ["'=cmd|'/c calc'!A1"]
    lines = _file(client.get(f"{PAGE}export.ndjson?actor=alice")).splitlines()
    assert [orjson.loads(one)["object_id"] for one in lines] == ["evil"]
    entry = AuditEntry.objects.filter(action="data.exported").latest("id")
    assert (entry.actor, entry.label) == ("arno", "audit.ndjson")
    assert entry.after == {"actor": "alice"}
