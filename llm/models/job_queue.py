"""Beside the jobs: paused types, workers, and jobs that a schedule submits."""

import json
from typing import Any

from django.db import models, transaction
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from billing.models import Customer
from llm.models.job_batch import LONGEST_TAG
from valuecanvas.core.fields import names_field

# The Celery task of all recurring jobs.
RECURRING_TASK = "llm.jobs.submit_recurring"


class JobPause(models.Model):
    """Jobs of a type that are not started for now."""

    type = models.CharField(max_length=40, primary_key=True)
    reason = models.CharField(max_length=2000)
    by = models.CharField(max_length=150)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "llm_job_pause"
        permissions = [("pause_jobs", "Can pause and resume queues")]
        default_permissions = ()

    def __str__(self) -> str:
        return self.type


class JobWorker(models.Model):
    """A process that runs jobs; it writes this row every few seconds."""

    id = models.UUIDField(primary_key=True)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    slots = models.PositiveSmallIntegerField(help_text="Jobs that it runs at once.")
    running = models.PositiveSmallIntegerField(default=0)
    done = models.PositiveBigIntegerField(default=0, help_text="Since its start.")
    cpu = models.FloatField(default=0, help_text="Of one core, in percent.")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "llm_job_worker"
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class RecurringJob(models.Model):
    """A job that is submitted again and again, by a schedule.

    It is saved and deleted together with its periodic task.
    """

    name = models.CharField(max_length=100, unique=True)
    customer = models.ForeignKey(
        Customer,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Who submits it, and is billed.",
    )
    type = models.CharField(max_length=40)
    input = models.JSONField(
        default=dict,
        help_text="As for a single job: a prompt's key and variables, or a body.",
    )
    crontab = models.ForeignKey(
        CrontabSchedule, on_delete=models.PROTECT, related_name="+"
    )
    enabled = models.BooleanField(default=True)
    tags = names_field(LONGEST_TAG)
    callback_url = models.CharField(max_length=2000, blank=True)
    # Why the last submission was refused.
    error = models.CharField(max_length=1000, blank=True, editable=False)
    # Made with it, and deleted with it.
    periodic_task = models.OneToOneField(
        PeriodicTask, null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )  # fmt: skip

    class Meta:
        db_table = "llm_job_recurring"
        ordering = ["name"]
        verbose_name = "recurring job"

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            super().save(*args, **kwargs)
            task = self.periodic_task or PeriodicTask(task=RECURRING_TASK)
            task.name = f"Recurring job {self.pk}: {self.name}"
            task.kwargs = json.dumps({"id": self.pk})
            task.crontab, task.enabled = self.crontab, self.enabled
            task.save()
            if self.periodic_task != task:
                self.periodic_task = task
                super().save(update_fields=["periodic_task"])

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            deleted = super().delete(*args, **kwargs)
            if self.periodic_task is not None:
                self.periodic_task.delete()
        return deleted
