"""The audit of prompts: who did what, when and why. Append-only."""

from django.db import models

from prompts.models.prompt import Prompt
from valuecanvas.core.fields import user_field


class PromptAction(models.TextChoices):
    CREATED = "created", "Created"
    EDITED = "edited", "Edited"
    VERSION = "version", "New version"
    MOVED = "moved", "Label moved"
    ROLLED_BACK = "rolled_back", "Rolled back"
    LABEL_REMOVED = "label_removed", "Label removed"
    ROLLOUT_STARTED = "rollout_started", "Rollout started"
    ROLLOUT_SHARE = "rollout_share", "Rollout share changed"
    ROLLOUT_PAUSED = "rollout_paused", "Rollout paused"
    ROLLOUT_RESUMED = "rollout_resumed", "Rollout resumed"
    ROLLOUT_FINISHED = "rollout_finished", "Rollout finished"
    ROLLOUT_ROLLED_BACK = "rollout_rolled_back", "Rollout rolled back"
    EXPERIMENT_STARTED = "experiment_started", "Experiment started"
    EXPERIMENT_CHANGED = "experiment_changed", "Experiment changed"
    EXPERIMENT_STOPPED = "experiment_stopped", "Experiment stopped"
    EXPERIMENT_PROMOTED = "experiment_promoted", "Winner promoted"


def actions() -> list[tuple[str, str]]:
    return PromptAction.choices


class PromptEvent(models.Model):
    """One change of a prompt. It has version numbers, no foreign keys: they stay true.

    The database refuses changes (a trigger): see migration 0002.
    """

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
    actor = user_field()
    actor_name = models.CharField(
        max_length=200, help_text="A user's name, 'key vc-…' or the gateway itself."
    )
    action = models.CharField(max_length=24, choices=actions)
    label = models.CharField(max_length=40, blank=True)
    from_version = models.PositiveIntegerField(null=True, blank=True)
    to_version = models.PositiveIntegerField(null=True, blank=True)
    reason = models.TextField(blank=True)
    details = models.JSONField(default=dict, blank=True)

    class Meta:
        db_table = "prompt_events"
        ordering = ["-id"]
        indexes = [models.Index(fields=["prompt", "-id"], name="prompt_event_latest")]

    def __str__(self) -> str:
        return f"{self.get_action_display()} by {self.actor_name}"
