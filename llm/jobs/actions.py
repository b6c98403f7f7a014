"""What people do with jobs: cancel, retry, pause."""

import uuid

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from llm.jobs import callbacks, doorbell
from llm.models import Job, JobPause, JobState
from llm.models.job import OPEN
from valuecanvas.core.errors import NotFound

RETRIED = (JobState.FAILED, JobState.DEAD, JobState.CANCELLED)
# Rows of one transaction.
AT_A_TIME = 1000


def cancel(rows: QuerySet[Job], *, by: str) -> int:
    """Cancel those of `rows` that have not ended; how many. A running one ends soon."""
    return _change(
        rows.filter(state__in=OPEN),
        state=JobState.CANCELLED,
        due=False,
        worker=None,
        lease_until=None,
        error_code="cancelled",
        error=f"Cancelled by {by}.",
        finished_at=timezone.now(),
    )


def retry(rows: QuerySet[Job], *, by: str) -> int:
    """Queue those of `rows` again that failed or were cancelled; how many."""
    now = timezone.now()
    in_time = Q(deadline=None) | Q(deadline__gt=now)
    changed = _change(
        rows.filter(in_time, state__in=RETRIED, batch=None),
        state=JobState.QUEUED,
        due=True,
        run_at=now,
        attempts=0,
        losses=0,
        progress=0,
        error_code="",
        error=f"Queued again by {by}.",
        finished_at=None,
    )
    doorbell.ring_worker()
    return changed


def pause(job_type: str, *, by: str, reason: str) -> None:
    """Start no more jobs of a type; those that run go on."""
    JobPause.objects.update_or_create(
        pk=job_type, defaults={"by": by, "reason": reason}
    )


def resume(job_type: str) -> None:
    """Start jobs of a type again. Raises NotFound if it is not paused."""
    deleted, _ = JobPause.objects.filter(pk=job_type).delete()
    if not deleted:
        raise NotFound(f"'{job_type}' is not paused.", param="type")
    doorbell.ring_worker()


def _change(rows: QuerySet[Job], **values: object) -> int:
    """Change rows that still fulfil the condition of `rows`, and queue their callbacks."""
    changed = 0
    for ids in _chunks(rows):
        with transaction.atomic():
            # Locked in one order, so that two who act at once do not deadlock.
            locked = rows.filter(pk__in=ids).order_by("pk").select_for_update()
            valid = list(locked.values_list("pk", flat=True))
            same = Job.objects.filter(pk__in=valid)
            changed += same.update(**values)
            if values["state"] == JobState.CANCELLED:
                for job in same.exclude(callback_url=""):
                    callbacks.queue_job_callback(job)
    return changed


def _chunks(rows: QuerySet[Job]) -> list[list[uuid.UUID]]:
    ids = list(rows.order_by("pk").values_list("pk", flat=True))
    return [ids[at : at + AT_A_TIME] for at in range(0, len(ids), AT_A_TIME)]
