"""What both APIs of batches do with a batch."""

import uuid

from django.core.handlers.asgi import ASGIRequest

from llm.jobs import batches
from llm.jobs.owner import Owner, owned_by
from llm.jobs.views.base import query, unknown
from llm.models import BatchState, JobBatch
from valuecanvas.core.errors import Conflict

_CANCELLED = (BatchState.CANCELLING, BatchState.CANCELLED)


def find_batch(owner: Owner, pk: uuid.UUID) -> JobBatch:
    """Raises NotFound."""
    batch = owned_by(JobBatch.objects.all(), owner.customer_id).filter(pk=pk).first()
    if batch is None:
        raise unknown(pk, "batch")
    return batch


async def cancel_batch(request: ASGIRequest, owner: Owner, pk: uuid.UUID) -> JobBatch:
    """The batch, cancelled. Raises NotFound, Conflict if it has ended."""
    await query(request, _start_cancel, owner, pk)
    # In several queries: others use the thread in between.
    while await query(request, batches.cancel_lines, pk):
        pass
    await query(request, batches.refresh, [pk])
    return await query(request, find_batch, owner, pk)


def _start_cancel(owner: Owner, pk: uuid.UUID) -> None:
    batch = find_batch(owner, pk)
    if not batches.start_cancel(pk):
        batch = find_batch(owner, pk)
        if batch.state not in _CANCELLED:
            raise Conflict(
                f"This batch is {batch.state}: it can no longer be cancelled.",
                code="batch_ended",
            )
