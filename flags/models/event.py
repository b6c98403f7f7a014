"""The audit of flags: who did what, when and why. Append-only."""

from django.db import models

from flags.models.flag import Flag
from valuecanvas.core.fields import user_field


class FlagAction(models.TextChoices):
    CREATED = "created", "Created"
    EDITED = "edited", "Edited"
    ENABLED = "enabled", "Enabled"
    DISABLED = "disabled", "Disabled"
    KILLED = "killed", "Killed"
    REVIVED = "revived", "Revived"
    PERCENT = "percent", "Percentage set"
    WEIGHTS = "weights", "Weights set"
    VARIANTS = "variants", "Variants edited"
    RULE_ADDED = "rule_added", "Rule added"
    RULE_EDITED = "rule_edited", "Rule edited"
    RULE_REMOVED = "rule_removed", "Rule removed"
    RULES_ORDERED = "rules_ordered", "Rules reordered"
    PREREQUISITES = "prerequisites", "Prerequisites set"
    SCHEDULED = "scheduled", "Change scheduled"
    CANCELLED = "cancelled", "Scheduled change cancelled"
    FAILED = "failed", "Scheduled change failed"
    REVERTED = "reverted", "Reverted to an earlier state"
    ARCHIVED = "archived", "Archived"
    RESTORED = "restored", "Restored"
    DELETED = "deleted", "Deleted"
    IMPORTED = "imported", "Imported"


def actions() -> list[tuple[str, str]]:
    return FlagAction.choices


class FlagEvent(models.Model):
    """One change of a flag, with its whole state `before` and `after`.

    The database refuses changes and deletions (a trigger): see the migrations.
    """

    flag = models.ForeignKey(
        Flag, null=True, on_delete=models.SET_NULL, related_name="events"
    )
    flag_name = models.CharField(
        max_length=100, help_text="Kept after the flag is deleted."
    )
    at = models.DateTimeField(auto_now_add=True)
    actor = user_field()
    actor_name = models.CharField(
        max_length=200, help_text="A user's name, 'key vc-…' or the gateway itself."
    )
    action = models.CharField(max_length=16, choices=actions)
    reason = models.TextField(blank=True)
    revision = models.PositiveIntegerField(help_text="The flag's, after it.")
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict, blank=True)
    details = models.JSONField(default=dict, blank=True)

    class Meta:
        db_table = "feature_flag_events"
        ordering = ["-id"]
        indexes = [models.Index(fields=["flag_name", "-id"], name="flag_event_latest")]

    def __str__(self) -> str:
        return f"{self.get_action_display()} by {self.actor_name}"
