"""Experiments: which of several versions or models is better."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from prompts.models.prompt import KEY, Prompt
from prompts.models.version import PromptVersion
from valuecanvas.core.fields import user_field
from valuecanvas.core.models import ConfigModel
from valuecanvas.core.targeting.bucketing import BUCKETS


class ExperimentState(models.TextChoices):
    DRAFT = "draft", "Draft"
    RUNNING = "running", "Running"
    STOPPED = "stopped", "Stopped"


def experiment_states() -> list[tuple[str, str]]:
    return ExperimentState.choices


class Metric(models.TextChoices):
    ERROR_RATE = "error_rate", "Error rate (lower is better)"
    FEEDBACK = "feedback", "Feedback score (higher is better)"
    COST = "cost", "Cost per request (lower is better)"
    LATENCY = "latency", "Latency (lower is better)"


def metrics() -> list[tuple[str, str]]:
    return Metric.choices


class Experiment(ConfigModel):
    """Splits the callers of a prompt between arms; callers keep their arm (`allocation`)."""

    config_kind = "experiment"

    key = models.CharField(
        max_length=60,
        unique=True,
        validators=[KEY],
        help_text="Short name that never changes; the salt of its buckets.",
    )
    prompt = models.ForeignKey(
        Prompt, on_delete=models.CASCADE, related_name="experiments"
    )
    hypothesis = models.TextField(blank=True, help_text="What you expect, and why.")
    state = models.CharField(max_length=8, choices=experiment_states, default="draft")
    tiers = models.JSONField(
        default=list, blank=True, help_text="Only callers of these tiers; empty: all."
    )
    conditions = models.JSONField(
        default=list,
        blank=True,
        help_text='Only callers who match all: a list of {"attribute", '
        '"operator", "value"}.',
    )
    allocation = models.JSONField(
        default=list,
        blank=True,
        help_text="The arm of each bucket; kept by the gateway so that as few "
        "callers as possible change arms.",
    )
    metric = models.CharField(
        "decided by", max_length=12, choices=metrics, default="feedback"
    )
    alpha = models.FloatField(
        default=0.05,
        validators=[MinValueValidator(0.001), MaxValueValidator(0.5)],
        help_text="Accepted risk of claiming a difference that does not exist.",
    )
    owner = user_field()
    winner = models.CharField(max_length=40, blank=True)
    reason = models.TextField(blank=True, help_text="Why it was stopped.")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "prompt_experiments"
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["prompt"],
                condition=models.Q(state="running"),
                name="prompt_experiment_one_running",
            )
        ]

    def __str__(self) -> str:
        return self.key


class Arm(ConfigModel):
    """One arm of an experiment: a version, a model, or both."""

    config_kind = "experiment"
    config_key = "experiment_id"

    experiment = models.ForeignKey(
        Experiment, on_delete=models.CASCADE, related_name="arms"
    )
    name = models.CharField(max_length=40, validators=[KEY])
    version = models.ForeignKey(
        PromptVersion,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="arms",
        help_text="Empty: the live version.",
    )
    model = models.CharField(
        max_length=200, blank=True, help_text="Empty: the version's, or the client's."
    )
    weight = models.PositiveSmallIntegerField(
        validators=[MinValueValidator(0), MaxValueValidator(BUCKETS)],
        help_text="In hundredths of a percent; all arms together make 100 %.",
    )
    control = models.BooleanField(
        default=False, help_text="The arm that the others are compared with."
    )

    class Meta:
        db_table = "prompt_arms"
        ordering = ["-control", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "name"], name="prompt_arm_name"
            ),
            models.UniqueConstraint(
                fields=["experiment"],
                condition=models.Q(control=True),
                name="prompt_arm_one_control",
            ),
        ]

    def __str__(self) -> str:
        return self.name
