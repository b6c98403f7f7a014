"""Events of the audit that are no change of a row, such as a refused login."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Model

from valuecanvas.core.audit.models import AuditEntry


def record(
    action: str,
    *,
    kind: str = "",
    object_id: str = "",
    label: str = "",
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write one event: `action` is its name, such as `login.locked`.

    The database adds the time, and the actor, address and request of the present context.
    In a transaction it is kept if that commits. `detail` is JSON, without any secret.
    """
    AuditEntry.objects.create(
        action=action,
        kind=kind,
        object_id=object_id,
        label=label[:400],
        after=dict(detail) if detail else None,
    )


def record_acts(rows: Iterable[Model], message: str) -> None:
    """Write what was done with each of `rows` that may change none of them, such as a view."""
    AuditEntry.objects.bulk_create(
        AuditEntry(
            action="acted",
            kind=row._meta.label_lower,
            object_id=str(row.pk),
            label=str(row)[:400],
            after={"message": message},
        )
        for row in rows
    )
