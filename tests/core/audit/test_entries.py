"""S14: what the audit holds, and that nobody can change it afterwards."""

import pytest
from django.db import IntegrityError, connection, transaction

from valuecanvas.core.audit.audit_context import explain, use_actor
from valuecanvas.core.audit.record import record
from valuecanvas.core.models import AuditEntry

pytestmark = pytest.mark.django_db


def test_record__of_an_event__says_who_where_and_why():
    with use_actor("alice", "person", "192.0.2.7", "a drill"):
        record(
            "mfa.reset", kind="auth.user", object_id="7", label="bob", detail={"n": 1}
        )
    entry = AuditEntry.objects.get(action="mfa.reset")
    assert (entry.actor, entry.actor_kind) == ("alice", "person")
    assert (entry.address, entry.reason) == ("192.0.2.7", "a drill")
    assert (entry.kind, entry.object_id, entry.label) == ("auth.user", "7", "bob")
    assert entry.after == {"n": 1}
    assert entry.at is not None


def test_record__by_nobody_known__names_the_user_of_the_database():
    record("odd")
    entry = AuditEntry.objects.get(action="odd")
    assert entry.actor.startswith("database user ")
    assert entry.actor_kind == "system"


def test_record__after_a_rollback__names_the_right_actor():
    with use_actor("alice", "person"):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            record("lost")
            raise ZeroDivisionError
        record("kept")
    with use_actor("bob", "person"):
        explain("his own")
        record("next")
    found = AuditEntry.objects.filter(action__in=["lost", "kept", "next"]).order_by(
        "id"
    )
    assert list(found.values_list("action", "actor", "reason")) == [
        ("kept", "alice", ""),
        ("next", "bob", "his own"),
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE core_audit_entry SET actor = 'mallory'",
        "UPDATE core_audit_entry SET label = 'x'",
        "DELETE FROM core_audit_entry",
        "TRUNCATE core_audit_entry",
    ],
)
def test_entries__of_the_audit__cannot_be_changed(statement):
    record("done")
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert AuditEntry.objects.filter(action="done").exists()


def test_entries__made_by_hand__cannot_name_another_actor():
    with use_actor("mallory", "person"):
        AuditEntry.objects.create(action="x", actor="alice", address="10.0.0.1")
    assert AuditEntry.objects.get(action="x").actor == "mallory"
