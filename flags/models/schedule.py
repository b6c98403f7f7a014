"""Scheduled changes of flags."""

from django.db import models

from flags.models.flag import Flag, FlagPart
from valuecanvas.core.fields import user_field


class ChangeKind(models.TextChoices):
    SET_PERCENT = "set_percent", "Set the percentage"
    ENABLE = "enable", "Enable"
    DISABLE = "disable", "Disable"
    SET_WEIGHTS = "set_weights", "Set the weights"
    KILL = "kill", "Kill"


def change_kinds() -> list[tuple[str, str]]:
    return ChangeKind.choices


class ChangeState(models.TextChoices):
    PENDING = "pending", "Pending"
    APPLIED = "applied", "Applied"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Failed"


def change_states() -> list[tuple[str, str]]:
    return ChangeState.choices


class ScheduledChange(FlagPart):
    """Applies from the time `at` on; the worker later writes it into the flag."""

    flag = models.ForeignKey(Flag, on_delete=models.CASCADE, related_name="schedule")
    at = models.DateTimeField()
    kind = models.CharField(max_length=11, choices=change_kinds)
    payload = models.JSONField(
        default=dict,
        blank=True,
        help_text='{"percent": "20"} or {"weights": {"blue": 5000, "red": 5000}}.',
    )
    ramp = models.CharField(
        max_length=36, blank=True, help_text="The steps of one ramp share it."
    )
    step = models.PositiveSmallIntegerField(default=0, help_text="1, 2 ... of a ramp.")
    state = models.CharField(max_length=9, choices=change_states, default="pending")
    reason = models.TextField(blank=True)
    created_by = user_field()
    created_by_name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    applied_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was applied, cancelled or failed."
    )
    error = models.TextField(blank=True)

    class Meta:
        db_table = "feature_flag_schedule"
        ordering = ["at", "pk"]
        indexes = [
            models.Index(
                fields=["at"],
                condition=models.Q(state="pending"),
                name="flag_schedule_pending",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.flag} at {self.at:%Y-%m-%d %H:%M}"
