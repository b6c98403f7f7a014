"""S14: what the append-only audit lets go: old entries, and the names of an erased customer."""

from datetime import timedelta
from io import StringIO

import orjson
import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from llm.privacy.erasure import erase
from tests.fixtures_billing import make_api_key, make_budget, make_customer, make_tier
from valuecanvas.core.audit import audit_retention
from valuecanvas.core.audit.audit_context import use_actor
from valuecanvas.core.audit.record import record
from valuecanvas.core.models import AuditEntry

pytestmark = pytest.mark.django_db
CANARY = "canary-7f3a@example.com"


def backdate(days: int) -> None:
    """As time would: no statement may do it."""
    at = timezone.now() - timedelta(days=days)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE core_audit_entry SET at = %s", [at])
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def test_purge__by_default__keeps_everything():
    record("old")
    backdate(5000)
    assert audit_retention.purge() == 0
    assert AuditEntry.objects.filter(action="old").exists()


def test_purge__of_old_entries__is_recorded(settings):
    settings.AUDIT_KEEP_DAYS = 60
    record("old")
    backdate(61)
    record("new")
    assert audit_retention.purge() >= 1
    assert not AuditEntry.objects.filter(action="old").exists()
    assert AuditEntry.objects.filter(action="new").exists()
    assert AuditEntry.objects.get(action="audit.purged").after["entries"] >= 1
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditEntry.objects.all().delete()


def test_purge__of_young_entries__is_refused_by_the_database():
    record("young")
    with pytest.raises(IntegrityError), transaction.atomic():
        audit_retention.allow("purge")
        AuditEntry.objects.all().delete()


def test_erasure__of_the_actor__is_refused_by_the_database():
    record("x")
    with pytest.raises(IntegrityError), transaction.atomic():
        audit_retention.allow("erasure")
        AuditEntry.objects.update(actor="somebody else")


def test_erasure__of_a_customer__leaves_no_name_in_the_audit():
    tier = make_tier("free")
    with use_actor("alice", "person", reason=f"asked by {CANARY}"):
        customer = make_customer(CANARY, tier=tier)
        make_api_key(customer, name=f"laptop of {CANARY}")
        budget = make_budget(customer, note=f"for {CANARY}")
        budget.limit_usd = 5
        budget.save()
        customer.suspended = True
        customer.save()
        budget.delete()
    assert _rows_with(CANARY)
    with use_actor("bob", "person"):
        erase(customer.pk)
    assert _rows_with(CANARY) == []
    entry = AuditEntry.objects.get(action="audit.erased")
    assert (entry.actor, entry.object_id) == ("bob", str(customer.pk))
    assert entry.after["entries"] >= 6
    changed = AuditEntry.objects.filter(kind="billing.budget", action="changed").get()
    assert (changed.actor, changed.after, changed.label) == ("alice", {"limit_usd": 5}, "erased")  # fmt: skip


def test_erasure__of_a_budget_older_than_the_audit__leaves_no_name():
    budget = make_budget(make_customer(CANARY, suspended=True))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM core_audit_entry")
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    budget.limit_usd = 5
    budget.save()
    assert _rows_with(CANARY)
    erase(budget.customer.pk)
    assert _rows_with(CANARY) == []


def test_export__by_the_command__writes_the_days_asked_for():
    record("first")
    backdate(3)
    with use_actor("alice", "person"):
        record("second")
    out = StringIO()
    day = str((timezone.now() - timedelta(days=1)).date())
    call_command("export_audit", "--from", day, stdout=out)
    actions = [orjson.loads(line)["action"] for line in out.getvalue().splitlines()]
    assert actions == ["data.exported", "second"]
    out = StringIO()
    call_command("export_audit", "--to", day, "--format", "csv", stdout=out)
    assert ",first," in out.getvalue()
    assert ",second," not in out.getvalue()


def _rows_with(text: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e::text FROM core_audit_entry e WHERE e::text LIKE %s",
            [f"%{text}%"],
        )
        return [row for (row,) in cursor.fetchall()]
