"""Erases whom the audit's entries about a customer name. What was done, and when, stays."""

import uuid
from collections.abc import Collection
from typing import Any

from django.db import connection, transaction
from django.db.models import Model

from valuecanvas.core.audit.audit_retention import allow
from valuecanvas.core.audit.models import AuditEntry
from valuecanvas.core.audit.record import record

ERASED = "erased"
# Columns whose texts may name somebody.
COLUMNS = frozenset(
    {"callback_url", "input", "last_error", "name", "note", "tags", "url", "user_id"}
)
# Of rows that are or were the customer's, whichever of their entries says so.
_FIND = """
WITH owned AS (
    SELECT kind, object_id FROM core_audit_entry
    WHERE before->>'customer_id' = %(customer)s OR after->>'customer_id' = %(customer)s
        OR before->>'owner' = %(owner)s OR after->>'owner' = %(owner)s
    UNION SELECT * FROM unnest(%(kinds)s::text[], %(ids)s::text[])
)
SELECT e.id FROM core_audit_entry e JOIN owned o USING (kind, object_id)
"""


@transaction.atomic
def erase_customer(
    customer_id: uuid.UUID, *, rows: Collection[Model], names: Collection[str]
) -> int:
    """Erase the customer's `names` and texts; returns the number of entries.

    `rows` are those of the customer that stay, itself too. The erasure itself is recorded.
    """
    values: dict[str, Any] = {
        "customer": str(customer_id),
        "owner": f"customer:{customer_id}",
        "kinds": [row._meta.label_lower for row in rows],
        "ids": [str(row.pk) for row in rows],
    }
    with connection.cursor() as cursor:
        cursor.execute(_FIND, values)
        ids = [pk for (pk,) in cursor.fetchall()]
    entries = list(AuditEntry.objects.filter(pk__in=ids))
    texts = [one for one in names if one]
    for one in entries:
        one.label, one.reason = ERASED, _blank(one.reason, texts)
        one.before, one.after = _erase(one.before, texts), _erase(one.after, texts)
    allow("erasure")
    AuditEntry.objects.bulk_update(
        entries, ["label", "reason", "before", "after"], batch_size=500
    )
    allow("")
    record(
        "audit.erased",
        kind="billing.customer",
        object_id=str(customer_id),
        label=ERASED,
        detail={"entries": len(entries)},
    )
    return len(entries)


def _erase(values: dict[str, Any] | None, names: Collection[str]) -> Any:
    if values is None:
        return None
    return {
        name: ERASED if name in COLUMNS and value else _blank(value, names)
        for name, value in values.items()
    }


def _blank(value: Any, names: Collection[str]) -> Any:
    if not isinstance(value, str):
        return value
    for name in names:
        value = value.replace(name, ERASED)
    return value
