"""Jobs and their results. The table is the queue."""

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q

from llm.models.job_batch import (
    LONGEST_TAG,
    JobBatch,
    OnLimit,
    Owned,
    traceparent_field,
)
from valuecanvas.core.fields import SealedField, names_field

MOST_TAGS = 10
LONGEST_CUSTOM_ID = 256
# Smaller numbers are taken first.
FIRST, USUAL, LAST = 0, 5, 9


class JobState(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    # It could never have succeeded: the request was refused.
    FAILED = "failed", "Failed"
    # Each of its attempts failed; an operator may replay it.
    DEAD = "dead", "Dead letter"
    CANCELLED = "cancelled", "Cancelled"


OPEN = (JobState.QUEUED, JobState.RUNNING)
ENDED = tuple(one for one in JobState if one not in OPEN)


class Job(Owned):
    """One call that is made later, or a line of a batch."""

    type = models.CharField(max_length=40)
    state = models.CharField(max_length=10, choices=JobState, default=JobState.QUEUED)
    endpoint = models.CharField(max_length=40)
    # The body of its call, encrypted.
    sealed = SealedField(owner=lambda row: f"job:{row.pk}")
    batch = models.ForeignKey(
        JobBatch, null=True, on_delete=models.CASCADE, related_name="jobs"
    )
    line = models.PositiveIntegerField(null=True)
    custom_id = models.CharField(max_length=LONGEST_CUSTOM_ID, blank=True)
    recurring = models.ForeignKey(
        "llm.RecurringJob",
        null=True,
        on_delete=models.SET_NULL,
        related_name="jobs",
        db_index=False,
    )
    tags = names_field(LONGEST_TAG)
    priority = models.PositiveSmallIntegerField(
        default=USUAL, validators=[MaxValueValidator(LAST)]
    )
    # How many open jobs its owner had before it: owners take turns.
    turn = models.PositiveIntegerField(default=0)
    run_at = models.DateTimeField()
    # Whether workers look at it: its time has come, and it is among the next of its
    # batch. So the queue stays short, however many jobs wait.
    due = models.BooleanField(default=False)
    deadline = models.DateTimeField(null=True)
    on_limit = models.CharField(
        max_length=4, choices=OnLimit.choices, default=OnLimit.WAIT
    )
    callback_url = models.CharField(max_length=2000, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    # Attempts that ended with their worker. A worker runs one such job at a time, so that
    # one that kills its workers does not take others with it each time.
    losses = models.PositiveSmallIntegerField(default=0)
    # Of the worker that runs it.
    worker = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    progress = models.PositiveSmallIntegerField(
        default=0, validators=[MaxValueValidator(100)]
    )
    # What it waits for, or why it failed.
    error_code = models.CharField(max_length=80, blank=True)
    error = models.CharField(max_length=1000, blank=True)
    # Of each attempt: number, worker, start, end, request id, error.
    history = models.JSONField(default=list)
    # The request that answered it.
    request_id = models.UUIDField(null=True)
    model = models.CharField(max_length=200, blank=True)
    cost_usd = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # A digest of owner and Idempotency-Key, and one of what was asked with it.
    claim = models.CharField(max_length=64, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True)
    traceparent = traceparent_field()

    class Meta(Owned.Meta):
        abstract = False
        db_table = "llm_job"
        ordering = ["-id"]
        permissions = [
            ("operate_job", "Can retry, replay and cancel jobs"),
            ("view_job_content", "Can read the inputs and answers of jobs"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["claim"], condition=~Q(claim=""), name="llm_job_claim"
            )
        ]
        indexes = [
            # The queue, in the order in which it is worked off.
            models.Index(
                fields=["priority", "turn", "run_at"],
                name="llm_job_queue",
                condition=Q(state=JobState.QUEUED, due=True),
            ),
            models.Index(
                fields=["priority", "turn", "run_at"],
                name="llm_job_suspects",
                condition=Q(state=JobState.QUEUED, due=True, losses__gt=0),
            ),
            models.Index(
                fields=["run_at"],
                name="llm_job_waiting",
                condition=Q(state=JobState.QUEUED, due=False, batch=None),
            ),
            models.Index(
                fields=["batch", "line"],
                name="llm_job_next_lines",
                condition=Q(state=JobState.QUEUED, due=False, batch__isnull=False),
            ),
            models.Index(
                fields=["lease_until"],
                name="llm_job_lease",
                condition=Q(state=JobState.RUNNING),
            ),
            models.Index(
                fields=["customer_id", "state"],
                name="llm_job_open",
                condition=Q(state__in=OPEN),
            ),
            models.Index(fields=["customer_id", "-id"], name="llm_job_of"),
            models.Index(fields=["batch", "line"], name="llm_job_line"),
            models.Index(
                fields=["recurring", "-id"],
                name="llm_job_recurring_last",
                condition=Q(recurring__isnull=False),
            ),
            models.Index(fields=["state", "-id"], name="llm_job_state"),
            models.Index(fields=["finished_at"], name="llm_job_finished"),
        ]


class JobResult(models.Model):
    """The answer to a job, encrypted."""

    job = models.OneToOneField(Job, on_delete=models.CASCADE, primary_key=True)
    status = models.PositiveSmallIntegerField()
    sealed = SealedField(owner=lambda row: f"job-result:{row.pk}")
    created_at = models.DateTimeField()

    class Meta:
        db_table = "llm_job_results"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.job_id)
