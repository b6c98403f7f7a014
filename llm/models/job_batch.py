"""Batches of jobs, and their files."""

from django.db import models
from django.db.models import Q

from valuecanvas.core.fields import SealedField, names_field
from valuecanvas.core.ids import uuid7

LONGEST_TAG = 40
# Smaller numbers are taken first; those of single jobs are in job.py.
BATCH_PRIORITY = 7


def traceparent_field() -> models.CharField:
    """The W3C header of the request that submitted; '' without a trace."""
    return models.CharField(max_length=55, blank=True, default="", db_default="")


class OnLimit(models.TextChoices):
    """What a job does whose owner has no quota or budget left."""

    WAIT = "wait", "Wait for the reset"
    FAIL = "fail", "Fail"


class BatchState(models.TextChoices):
    """The states of OpenAI's batches."""

    VALIDATING = "validating", "Validating"
    IN_PROGRESS = "in_progress", "In progress"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    EXPIRED = "expired", "Expired"
    CANCELLING = "cancelling", "Cancelling"
    CANCELLED = "cancelled", "Cancelled"


OPEN_BATCH = (BatchState.VALIDATING, BatchState.IN_PROGRESS, BatchState.CANCELLING)


class Owned(models.Model):
    """A row of one customer. Names, not foreign keys: history outlives rows."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer_id = models.UUIDField()
    user_id = models.CharField("user", max_length=200)
    team = models.CharField(max_length=60, blank=True)
    key = models.CharField(
        "API key", max_length=16, blank=True, help_text="Of the submitter; its prefix."
    )
    created_at = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.id)


class JobFile(Owned):
    """A file that a customer uploaded, encrypted, in parts."""

    filename = models.CharField(max_length=255)
    purpose = models.CharField(max_length=20, default="batch")
    size = models.BigIntegerField(default=0, help_text="Bytes.")
    expires_at = models.DateTimeField(db_index=True)

    class Meta(Owned.Meta):
        abstract = False
        db_table = "llm_job_file"
        verbose_name = "file"
        ordering = ["-id"]
        indexes = [models.Index(fields=["customer_id", "-id"], name="llm_job_file_of")]


class JobFilePart(models.Model):
    """A part of a file, at most a mebibyte before it was encrypted."""

    file = models.ForeignKey(JobFile, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    sealed = SealedField(owner=lambda row: f"file:{row.file_id}:{row.number}")

    class Meta:
        db_table = "llm_job_file_part"
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["file", "number"], name="llm_job_file_part_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.file_id} #{self.number}"


class JobBatch(Owned):
    """Many jobs that were submitted together."""

    endpoint = models.CharField(max_length=40, help_text="chat, embeddings, responses.")
    state = models.CharField(
        max_length=12, choices=BatchState, default=BatchState.VALIDATING
    )
    # Its lines; None for one that was purged.
    file = models.ForeignKey(
        JobFile, null=True, on_delete=models.SET_NULL, related_name="batches"
    )
    # OpenAI's `metadata`.
    metadata = models.JSONField(default=dict)
    tags = names_field(LONGEST_TAG)
    on_limit = models.CharField(max_length=4, choices=OnLimit, default=OnLimit.WAIT)
    priority = models.PositiveSmallIntegerField(default=BATCH_PRIORITY)
    callback_url = models.CharField(max_length=2000, blank=True)
    # Lines that cannot be run: [{"line", "code", "message", "param"}].
    errors = models.JSONField(default=list)
    # Lines; counted anew every second or so while some are open.
    total = models.PositiveIntegerField(default=0)
    succeeded = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    cancelled = models.PositiveIntegerField(default=0)
    cost_usd = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    deadline = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    cancelled_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # A digest of owner and Idempotency-Key, and one of what was asked with it.
    claim = models.CharField(max_length=64, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True)
    traceparent = traceparent_field()

    class Meta(Owned.Meta):
        abstract = False
        db_table = "llm_job_batch"
        verbose_name = "batch"
        verbose_name_plural = "batches"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["claim"], condition=~Q(claim=""), name="llm_job_batch_claim"
            )
        ]
        indexes = [
            models.Index(fields=["customer_id", "-id"], name="llm_job_batch_of"),
            models.Index(
                fields=["deadline"],
                name="llm_job_batch_open",
                condition=Q(state__in=OPEN_BATCH),
            ),
        ]
