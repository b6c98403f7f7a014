"""A gradual rollout: a new version takes a growing share of `production`."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from prompts.models.prompt import Prompt
from prompts.models.version import PromptVersion
from valuecanvas.core.fields import user_field
from valuecanvas.core.models import ConfigModel
from valuecanvas.core.targeting.bucketing import BUCKETS


class RolloutState(models.TextChoices):
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    FINISHED = "finished", "Finished"
    ROLLED_BACK = "rolled_back", "Rolled back"


def rollout_states() -> list[tuple[str, str]]:
    return RolloutState.choices


LIVE = (RolloutState.RUNNING, RolloutState.PAUSED)


class Rollout(ConfigModel):
    """`share` of the users get `version`, the others what `production` points at.

    At 100 % the label moves and the rollout has finished.
    """

    config_kind = "prompt"
    config_key = "prompt_id"

    prompt = models.ForeignKey(
        Prompt, on_delete=models.CASCADE, related_name="rollouts"
    )
    version = models.ForeignKey(
        PromptVersion, on_delete=models.CASCADE, related_name="rollouts"
    )
    share = models.PositiveSmallIntegerField(
        default=0,
        validators=[MinValueValidator(0), MaxValueValidator(BUCKETS)],
        help_text="In hundredths of a percent.",
    )
    steps = models.JSONField(
        default=list,
        blank=True,
        help_text='The next steps: a list of {"share", "after_minutes"}.',
    )
    next_at = models.DateTimeField(
        null=True, blank=True, help_text="When the first of the steps is due."
    )
    guards = models.JSONField(
        default=list,
        blank=True,
        help_text="Metrics that end it automatically: a list of "
        '{"metric", "worse_by", "minimum_requests"}.',
    )
    state = models.CharField(max_length=12, choices=rollout_states, default="running")
    started_by = user_field()
    reason = models.TextField(blank=True, help_text="Why it was started, or ended.")
    started_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "prompt_rollouts"
        ordering = ["-started_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["prompt"],
                condition=models.Q(state__in=["running", "paused"]),
                name="prompt_rollout_one_live",
            )
        ]

    def __str__(self) -> str:
        return f"{self.version} at {self.share / 100:g} %"

    @property
    def salt(self) -> str:
        """The salt of its buckets."""
        return f"rollout:{self.pk}"
