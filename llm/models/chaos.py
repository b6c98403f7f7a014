"""Chaos experiments, their runs, and the windows in which production allows them."""

import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django_celery_beat.models import CrontabSchedule

from valuecanvas.core.fields import names_field, user_field

LONGEST_NAME = 60
# The Celery task of drills that a schedule runs.
DRILL_TASK = "llm.drill"


class FaultKind(models.TextChoices):
    """What is injected. The first six are into calls of providers."""

    LATENCY = "latency", "Latency: calls take longer"
    ERROR = "error", "Error: the provider answers with an error status"
    TIMEOUT = "timeout", "Timeout: the provider never answers"
    RATE_LIMIT = "rate_limit", "Rate limit: the provider answers 429"
    MALFORMED = "malformed", "Malformed: the answer cannot be read"
    CUT = "cut", "Cut: the answer breaks off"
    # For drills only.
    STORE_SLOW = "store_slow", "Redis is slow"
    STORE_DOWN = "store_down", "Redis is down"
    DATABASE_RESTART = "database_restart", "The database restarts"
    WORKER_EXIT = "worker_exit", "A worker is killed"


PROVIDER_FAULTS = tuple(FaultKind)[:6]


class RunState(models.TextChoices):
    """Where a run is. It injects faults in RUNNING alone."""

    CHECKING = "checking", "Checking the steady state"
    RUNNING = "running", "Running"
    RECOVERING = "recovering", "Watching the recovery"
    COMPLETED = "completed", "Completed"
    ABORTED = "aborted", "Aborted by its limits"
    STOPPED = "stopped", "Stopped by a person"
    REFUSED = "refused", "Not begun: no steady state"
    LOST = "lost", "Its controller was lost"


ACTIVE = (RunState.CHECKING, RunState.RUNNING, RunState.RECOVERING)


class ChaosExperiment(models.Model):
    """A fault, whom it meets, what must hold meanwhile, and when it runs."""

    name = models.SlugField(max_length=LONGEST_NAME, unique=True)
    hypothesis = models.TextField(
        max_length=2000,
        help_text="What you expect, as 'Answers come from the fallback; nobody gets an error.'",
    )
    fault = models.CharField(
        max_length=20, choices=[(one.value, one.label) for one in PROVIDER_FAULTS]
    )
    # As llm/chaos/faults.py defines them for the fault.
    parameters = models.JSONField(default=dict, blank=True)
    percent = models.DecimalField(
        max_digits=5,
        decimal_places=2,
        default=1,
        help_text="Of the calls that match, in percent.",
    )
    providers = names_field(LONGEST_NAME, "Empty: all.")
    model_names = names_field(200, "Empty: all.")
    endpoints = names_field(20, "chat, responses or embeddings. Empty: all.")
    # As of flags: valuecanvas/core/targeting. All of them hold for whoever is met.
    conditions = models.JSONField(default=list, blank=True)
    # The steady state, measured over those whom the experiment may meet.
    most_error_percent = models.DecimalField(
        max_digits=5,
        decimal_places=2,
        help_text="Failed requests, in percent. Above it the run is aborted.",
    )
    most_p95_ms = models.PositiveIntegerField(null=True, blank=True)
    least_availability_percent = models.DecimalField(
        max_digits=5, decimal_places=2, null=True, blank=True
    )
    most_cost_usd = models.DecimalField(
        max_digits=12,
        decimal_places=6,
        null=True,
        blank=True,
        help_text="Of one request on average, in USD.",
    )
    blast_percent = models.DecimalField(
        max_digits=5,
        decimal_places=2,
        default=10,
        help_text="Most of all requests that faults may meet, in percent.",
    )
    ttl_s = models.PositiveIntegerField(
        default=300, help_text="It ends by itself after so many seconds."
    )
    # At most one of them; none: only when somebody starts it.
    starts_at = models.DateTimeField(null=True, blank=True)
    crontab = models.ForeignKey(
        CrontabSchedule,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    # Runs again and again between them: a game day.
    window_begins = models.DateTimeField(null=True, blank=True)
    window_ends = models.DateTimeField(null=True, blank=True)
    created_by = user_field(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "llm_chaos_experiment"
        ordering = ["name"]
        verbose_name = "chaos experiment"

    def __str__(self) -> str:
        return self.name


class ChaosRun(models.Model):
    """One run of an experiment or of a drill, from its check to its report."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    experiment = models.ForeignKey(
        ChaosExperiment,
        null=True,
        on_delete=models.SET_NULL,
        related_name="runs",
    )
    # The experiment's name, or the drill's.
    name = models.CharField(max_length=LONGEST_NAME)
    is_drill = models.BooleanField(default=False)
    state = models.CharField(max_length=12, choices=RunState, default=RunState.CHECKING)
    # What is injected, as llm/chaos/plan.py reads it: fixed when the run begins.
    plan = models.JSONField()
    # The experiment's steady state, fixed likewise; empty: a drill's.
    limits = models.JSONField(default=dict)
    started_by = user_field()
    stopped_by = user_field()
    started_at = models.DateTimeField()
    # By the database's clock: faults are injected no longer than until both.
    ends_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=500, blank=True)
    # Points of the charts: [{"at", "phase", "requests", "errors", "p95_ms", "cost_usd", "injected"}]
    samples = models.JSONField(default=list)
    # Faults that were injected; each process adds its own.
    injected = models.PositiveBigIntegerField(default=0)
    # What was expected and seen: [{"expected", "seen", "holds"}].
    findings = models.JSONField(default=list)
    verdict = models.CharField(
        max_length=6, blank=True, choices=[("passed", "Passed"), ("failed", "Failed")]
    )

    class Meta:
        db_table = "llm_chaos_run"
        ordering = ["-started_at"]
        verbose_name = "run"
        default_permissions = ("view",)
        permissions = [("stop_chaosrun", "Can stop experiments and drills")]
        indexes = [
            models.Index(
                fields=["state"],
                name="llm_chaos_run_active",
                condition=Q(state__in=[one.value for one in ACTIVE]),
            ),
            models.Index(fields=["-started_at"], name="llm_chaos_run_started"),
        ]

    def __str__(self) -> str:
        return f"{self.name}, {self.started_at:%Y-%m-%d %H:%M}"


class ChaosWindow(models.Model):
    """A time in which production allows experiments; opened by `manage.py chaos` alone."""

    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=500)
    opened_by = models.CharField(max_length=150)
    # Made with the secret key: who can only write to the database opens none.
    signature = models.CharField(max_length=100)

    class Meta:
        db_table = "llm_chaos_window"
        ordering = ["-begins_at"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.begins_at:%Y-%m-%d %H:%M} to {self.ends_at:%H:%M}"

    def facts(self) -> dict[str, Any]:
        """What is signed."""
        return {
            "begins_at": self.begins_at.isoformat(),
            "ends_at": self.ends_at.isoformat(),
            "reason": self.reason,
            "opened_by": self.opened_by,
        }
