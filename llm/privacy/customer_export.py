"""All rows of one customer as lines of JSON, in constant memory."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from django.db.models import Model, QuerySet

from billing.models import ApiKey, Budget, Customer, IdempotentReplay, Refusal, Usage
from llm.models import Feedback, Job, JobBatch, JobFile, RecurringJob
from valuecanvas.core.admin.bases import SECRETS

PAGE = 1_000
# Besides secrets: numbers by which a repeat is recognised.
LEFT_OUT = SECRETS | {"claim", "sealed"}
PARTS: Mapping[str, type[Model]] = {
    "key": ApiKey,
    "budget": Budget,
    "recurring_job": RecurringJob,
    "job_file": JobFile,
    "job_batch": JobBatch,
    "job": Job,
    "feedback": Feedback,
    "refusal": Refusal,
    "replay": IdempotentReplay,
}


def export_lines(customer: Customer) -> Iterator[bytes]:
    """`{"kind": "usage", "row": {...}}` for each row, many lines at a time.

    Without secrets, and without the sealed contents of jobs and files.
    """
    owned = {"customer_id": customer.pk}
    yield _lines("customer", [_values(Customer.objects.filter(pk=customer.pk)).get()])
    for kind, model in PARTS.items():
        yield from _pages(kind, model._default_manager.filter(**owned))
    usage = Usage.objects.filter(**owned)
    # Day by day, as the index has them.
    for day in list(usage.order_by("day").values_list("day", flat=True).distinct()):
        yield from _pages("usage", usage.filter(day=day))


def _pages(kind: str, rows: QuerySet[Any]) -> Iterator[bytes]:
    """Each page begins after the last row's key: no query reads what was sent before."""
    name = rows.model._meta.pk.attname
    found = list(_values(rows).order_by("pk")[:PAGE])
    while found:
        yield _lines(kind, found)
        if len(found) < PAGE:
            return
        after = rows.filter(pk__gt=found[-1][name])
        found = list(_values(after).order_by("pk")[:PAGE])


def _values(rows: QuerySet[Any]) -> QuerySet[Any, dict[str, Any]]:
    fields = rows.model._meta.concrete_fields
    return rows.values(*(one.attname for one in fields if one.name not in LEFT_OUT))


def _lines(kind: str, rows: list[dict[str, Any]]) -> bytes:
    return b"".join(
        orjson.dumps({"kind": kind, "row": row}, default=str) + b"\n" for row in rows
    )
