"""The history of backups."""

from django.db import models

from valuecanvas.core.ids import uuid7


class BackupState(models.TextChoices):
    RUNNING = "running", "Under way"
    STORED = "stored", "Stored"
    FAILED = "failed", "Failed"
    DELETED = "deleted", "Deleted"


class Backup(models.Model):
    """One backup. The storage has the truth; this row is for people and metrics."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=40, unique=True)
    state = models.CharField(
        max_length=10, choices=BackupState, default=BackupState.RUNNING
    )
    step = models.CharField(max_length=200, blank=True, help_text="What is under way.")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    by = models.CharField(max_length=150)
    size = models.BigIntegerField(null=True, help_text="Bytes, encrypted.")
    tables = models.IntegerField(null=True)
    rows = models.BigIntegerField(null=True)
    error = models.TextField(blank=True)
    # The last rehearsal.
    rehearsed_at = models.DateTimeField(null=True)
    verified = models.BooleanField(null=True, help_text="Empty: not restored so far.")
    steps = models.JSONField(default=list)

    class Meta:
        ordering = ["-id"]
        permissions = [
            ("make_backup", "Can make and verify backups"),
            ("download_backup", "Can download backups"),
        ]

    def __str__(self) -> str:
        return self.name
