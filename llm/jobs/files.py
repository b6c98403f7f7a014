"""Files of customers: encrypted, in parts, until they expire.

A file is seen by nobody until all of its parts are there: until then its size is 0.
"""

import datetime as dt
import re
import uuid
from collections.abc import Iterator

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from llm.jobs.owner import Owner, owned_by
from llm.models import BatchState, JobFile, JobFilePart
from llm.models.job_batch import OPEN_BATCH
from valuecanvas.core import crypto
from valuecanvas.core.db import locks
from valuecanvas.core.errors import BodyTooLarge, Conflict, NotFound

PART_BYTES = 1_048_576
# Of OpenAI's purposes, the one that there is a use for here.
PURPOSE = "batch"
# The lines of a batch of our own API, deleted once its jobs are made.
LINES = "lines"
# What was not uploaded to its end within this time is deleted.
UPLOAD_TIME = dt.timedelta(hours=2)
_ID = re.compile(r"file-([0-9a-f]{32})")


def render_id(pk: uuid.UUID) -> str:
    return f"file-{pk.hex}"


def parse_id(text: str) -> uuid.UUID:
    """Raises NotFound."""
    match = _ID.fullmatch(text)
    if match is None:
        raise not_found(text)
    return uuid.UUID(match.group(1))


def not_found(text: str) -> NotFound:
    return NotFound(f"No such File object: {text[:100]}", param="id", code="not_found")


def visible(customer_id: uuid.UUID) -> QuerySet[JobFile]:
    """The customer's files."""
    rows = owned_by(JobFile.objects.filter(purpose=PURPOSE), customer_id)
    return rows.filter(size__gt=0, expires_at__gt=timezone.now())


def find(customer_id: uuid.UUID, text: str) -> JobFile:
    """The file with this id. Raises NotFound."""
    found = visible(customer_id).filter(pk=parse_id(text)).first()
    if found is None:
        raise not_found(text)
    return found


def check_space(customer_id: uuid.UUID, size: int) -> None:
    """Raises BodyTooLarge if the customer's files would take too much with one more."""
    most = settings.FILES_TOTAL_BYTES
    rows = owned_by(JobFile.objects.filter(expires_at__gt=timezone.now()), customer_id)
    used = rows.aggregate(used=Sum("size"))["used"] or 0
    if used + size > most:
        raise BodyTooLarge(
            f"Your files may have {most} bytes in all; {used} are used. Delete files"
            " that you no longer need.",
            code="file_storage_full",
        )


def start_file(owner: Owner, filename: str, purpose: str) -> JobFile:
    """A file without parts."""
    now = timezone.now()
    return JobFile.objects.create(
        **owner.columns(),
        created_at=now,
        filename=filename,
        purpose=purpose,
        expires_at=now + UPLOAD_TIME,
    )


def add_part(file: JobFile, number: int, plain: bytes) -> None:
    """Add a part of at most PART_BYTES; they count from 0."""
    sealed = crypto.seal_bytes(plain, _part_owner(file.pk, number))
    JobFilePart.objects.create(file=file, number=number, sealed=sealed)


def finish_file(file: JobFile, size: int, lifetime: dt.timedelta) -> JobFile:
    """Show the file to its customer. Raises BodyTooLarge if the space is used up."""
    with transaction.atomic():
        locks.hold(f"files:{file.customer_id}")
        check_space(file.customer_id, size)
        file.size, file.expires_at = size, file.created_at + lifetime
        file.save(update_fields=["size", "expires_at"])
    return file


def discard_file(file: JobFile) -> None:
    """Delete a file that was not finished."""
    JobFile.objects.filter(pk=file.pk).delete()


def read_part(file_id: uuid.UUID, number: int) -> bytes | None:
    """A part, decrypted; None after the last one. Raises UnreadableSecret."""
    rows = JobFilePart.objects.filter(file_id=file_id, number=number)
    sealed = rows.values_list("sealed", flat=True).first()
    if sealed is None:
        return None
    return crypto.unseal_bytes(bytes(sealed), _part_owner(file_id, number))


def read_parts(file_id: uuid.UUID) -> Iterator[bytes]:
    """All parts, one after another. Raises UnreadableSecret."""
    number = 0
    while (part := read_part(file_id, number)) is not None:
        yield part
        number += 1


def delete_file(customer_id: uuid.UUID, text: str) -> None:
    """Raises NotFound; Conflict while a batch that has not ended needs it."""
    with transaction.atomic():
        # A batch that is made of it meanwhile waits, and does not find it.
        found = visible(customer_id).select_for_update().filter(pk=parse_id(text))
        file = found.first()
        if file is None:
            raise not_found(text)
        batch = file.batches.filter(state__in=OPEN_BATCH).first()
        if batch is not None:
            raise Conflict(
                f"The batch batch_{batch.pk.hex} needs this file. Cancel it, or wait"
                " until it has ended.",
                code="file_in_use",
            )
        file.delete()


def delete_expired() -> int:
    """Delete files whose time is over, unless a batch has still to read them; how many."""
    rows = JobFile.objects.filter(expires_at__lte=timezone.now())
    deleted = 0
    for file in rows.exclude(batches__state=BatchState.VALIDATING):
        file.delete()
        deleted += 1
    return deleted


def _part_owner(file_id: uuid.UUID, number: int) -> str:
    """The name that a part is encrypted for: parts cannot change places."""
    return f"file:{file_id}:{number}"
