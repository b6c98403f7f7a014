"""S14: each table is audited, or stands here with the reason why not."""

import pytest
from django.apps import apps
from django.db import connection, models

from valuecanvas.core.models import ConfigModel

pytestmark = pytest.mark.django_db

TRAFFIC = "traffic writes it"
HISTORY = "a history that only grows"
BOOKS = "bookkeeping of the program"
NOT_AUDITED = {
    "account.emailconfirmation": "no mail is sent by the door",
    "socialaccount.socialtoken": "tokens of the identity provider are not stored",
    "admin.logentry": HISTORY,
    "auth.permission": "migrations alone write it",
    "contenttypes.contenttype": "migrations alone write it",
    "sessions.session": TRAFFIC,
    "django_celery_beat.periodictasks": BOOKS,
    "core.auditentry": HISTORY,
    "core.webhookdelivery": TRAFFIC,
    "core.epoch": BOOKS,
    "core.change": BOOKS,
    "core.givenright": BOOKS,
    "core.loginfailure": "logins are events of the audit",
    "core.formresult": BOOKS,
    "billing.alertevent": TRAFFIC,
    "billing.counter": TRAFFIC,
    "billing.idempotencykey": TRAFFIC,
    "billing.idempotentreplay": TRAFFIC,
    "billing.ledgercheck": HISTORY,
    "billing.refusal": TRAFFIC,
    "billing.refusalcount": TRAFFIC,
    "billing.request": "a view",
    "billing.reservation": TRAFFIC,
    "billing.usage": "the ledger, which only grows",
    "billing.correctedrequest": "the ledger, which only grows",
    "billing.usagearchive": BOOKS,
    "billing.usagehour": BOOKS,
    "billing.rollupstate": BOOKS,
    "billing.lateday": BOOKS,
    "flags.flagevent": HISTORY,
    "flags.exposure": TRAFFIC,
    "prompts.promptevent": HISTORY,
    "llm.attempt": TRAFFIC,
    "llm.breakerevent": HISTORY,
    "llm.feedback": TRAFFIC,
    "llm.jobfile": TRAFFIC,
    "llm.jobfilepart": TRAFFIC,
    "llm.jobbatch": TRAFFIC,
    "llm.job": TRAFFIC,
    "llm.jobresult": TRAFFIC,
    "llm.jobworker": BOOKS,
    "llm.seeded": BOOKS,
}


def _audited() -> set[str]:
    """Tables whose INSERT, UPDATE, DELETE and TRUNCATE fire the audit's triggers."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, bit_or(tgtype::int) FROM pg_trigger "
            "WHERE tgname LIKE 'core_audited%' GROUP BY 1"
        )
        # Bits of pg_trigger.tgtype: INSERT, DELETE, UPDATE, TRUNCATE.
        return {name for name, kinds in cursor.fetchall() if kinds & 60 == 60}


def test_tables__of_all_models__are_audited_or_exempt():
    audited = _audited()
    found = {
        one._meta.label_lower: one for one in apps.get_models(include_auto_created=True)
    }
    missing = {
        name
        for name, model in found.items()
        if model._meta.db_table not in audited and name not in NOT_AUDITED
    }
    assert missing == set()
    both = {
        name for name in NOT_AUDITED
        if name in found and found[name]._meta.db_table in audited
    }  # fmt: skip
    assert both == set()
    assert set(NOT_AUDITED) <= set(found)


def test_exemptions__of_configuration__are_refused():
    config = {
        one._meta.label_lower
        for one in apps.get_models()
        if issubclass(one, ConfigModel)
    }
    assert len(config) > 15
    assert config.isdisjoint(NOT_AUDITED)


def test_triggers__of_all_tables__name_what_exists():
    """A column that was renamed, or a label that names no model, would be lost silently."""
    names = {one._meta.label_lower for one in apps.get_models()}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, tgrelid::oid, p.proname, "
            "encode(tgargs, 'escape') FROM pg_trigger t JOIN pg_proc p "
            "ON p.oid = tgfoid WHERE tgname LIKE 'core_audited%'"
        )
        for table, oid, function, args in cursor.fetchall():
            kind, *parts = args.split("\\000")[:-1]
            assert kind in names, table
            if function == "core_audit_link":
                assert parts[0] in {
                    f.name for f in apps.get_model(kind)._meta.many_to_many
                }
                parts = parts[1:]
            cursor.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s AND attnum > 0",
                [oid],
            )
            columns = {name for (name,) in cursor.fetchall()}
            wanted = {
                one.partition(":")[0] for part in parts for one in part.split(",")
            }
            assert wanted - {""} <= columns, table


def test_secrets__of_audited_tables__are_declared():
    """Sealed fields, digests and passwords never reach the audit."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, encode(tgargs, 'escape') FROM pg_trigger "
            "WHERE tgname = 'core_audited'"
        )
        args = {name: text.split("\\000") for name, text in cursor.fetchall()}
    for model in apps.get_models():
        parts = args.get(model._meta.db_table)
        for field in model._meta.concrete_fields if parts else ():
            secret = isinstance(field, models.BinaryField) or any(
                word in field.column
                for word in ("sealed", "digest", "password", "secret")
            )
            if secret and model._meta.label_lower != "prompts.promptversion":
                assert field.column in parts[4].split(","), field
