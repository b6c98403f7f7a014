"""Erases whom a customer's rows name and what the customer sent. Sums and prices stay."""

import uuid

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.db.models.functions import Coalesce, Now

from billing.alerts import alert_events
from billing.models import (
    ApiKey,
    Budget,
    Customer,
    IdempotencyKey,
    IdempotentReplay,
    Refusal,
    Reservation,
)
from llm.cache import invalidation
from llm.models import Feedback, Job, JobBatch, JobFile, RecurringJob
from llm.models.job import OPEN
from valuecanvas.core.audit import audit_erasure
from valuecanvas.core.errors import Conflict
from valuecanvas.core.models import WebhookEndpoint

ERASED = "erased"
AT_A_TIME = 5_000
# The trigger of the ledger allows this change for the customer named, and no other.
USAGE = """
UPDATE llm_usage SET user_id = 'erased', end_user = '', subject = NULL
WHERE customer_id = %(customer)s AND id IN (
    SELECT id FROM llm_usage
    WHERE customer_id = %(customer)s
        AND (user_id <> 'erased' OR end_user <> '' OR subject IS NOT NULL)
    LIMIT %(most)s
)
"""


def erase(customer_id: uuid.UUID) -> int:
    """Erase the customer; the number of rows of the ledger that were changed.

    Called again, it goes on where it stopped. Raises Conflict while the customer is not
    suspended, or has requests or jobs that are not ended: they would write its name again.
    """
    with transaction.atomic():
        customer = Customer.objects.select_for_update().get(pk=customer_id)
        _refuse_while_open(customer)
        names = _erase_names(customer)
        _delete_contents(customer_id)
        # Last, since what is above is in the audit too.
        kept = [
            customer,
            *ApiKey.objects.filter(customer=customer),
            *Budget.objects.filter(customer=customer),
        ]
        audit_erasure.erase_customer(customer_id, rows=kept, names=names)
    return _erase_usage(customer_id)


def _refuse_while_open(customer: Customer) -> None:
    if not customer.suspended:
        raise Conflict("Suspend the customer first, so that nothing new is written.")
    if Reservation.objects.filter(customer_id=customer.pk).exists():
        raise Conflict("Requests of the customer are under way: wait for their end.")
    if Job.objects.filter(customer_id=customer.pk, state__in=OPEN).exists():
        raise Conflict(
            "The customer has open jobs: cancel them, or wait for their end."
        )


def _erase_names(customer: Customer) -> list[str]:
    """The names that were erased: of the customer, and of its keys."""
    former = customer.user_id
    customer.user_id = f"{ERASED}-{customer.pk}"
    customer.save(update_fields=["user_id"])
    keys = ApiKey.objects.filter(customer=customer)
    prefixes = list(keys.values_list("pk", flat=True))
    names = [former, *keys.values_list("name", flat=True)]
    keys.update(name=ERASED, revoked_at=Coalesce("revoked_at", Now()))
    for model, ids in ((Customer, [str(customer.pk)]), (ApiKey, prefixes)):
        LogEntry.objects.filter(
            content_type=ContentType.objects.get_for_model(model), object_id__in=ids
        ).update(object_repr=ERASED)
    alert_events.erase_names(customer)
    Feedback.objects.filter(customer_id=customer.pk).update(
        user_id=ERASED, comment="", subject=None
    )
    return names


def _delete_contents(customer_id: uuid.UUID) -> None:
    owned = {"customer_id": customer_id}
    for kind in (Refusal, IdempotencyKey, IdempotentReplay):
        kind._default_manager.filter(**owned).delete()
    for recurring in RecurringJob.objects.filter(**owned):
        recurring.delete()
    for model in (Job, JobBatch, JobFile):
        model._default_manager.filter(**owned).delete()
    WebhookEndpoint.objects.filter(owner=f"customer:{customer_id}").delete()
    invalidation.purge(invalidation.customer(customer_id))


def _erase_usage(customer_id: uuid.UUID) -> int:
    """In small transactions, because there may be millions of rows."""
    total, changed = 0, 1
    values: dict[str, str | int] = {"customer": str(customer_id), "most": AT_A_TIME}
    while changed:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('valuecanvas.erased_customer', %s, true)",
                [str(customer_id)],
            )
            cursor.execute(USAGE, values)
            changed = cursor.rowcount
        total += changed
    return total
