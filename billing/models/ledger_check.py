"""Checks of the ledger: one row a run."""

from datetime import timedelta

from django.db import models
from django.utils import timezone

from valuecanvas.core.ids import uuid7

# After this the hourly check is overdue.
STALE_AFTER = timedelta(hours=2, minutes=15)


class LedgerCheck(models.Model):
    """The result of one run of billing/accounting/reconcile.py. Never changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    first_day = models.DateField(null=True, help_text="Empty: from the first day on.")
    last_day = models.DateField()
    ok = models.BooleanField()
    # One for each invariant: name, checked, drifted, and the first drifting rows.
    findings = models.JSONField()
    by = models.CharField(max_length=150, help_text="A user, or what ran it.")

    class Meta:
        ordering = ["-id"]  # made of the time, and indexed
        verbose_name = "check of the ledger"
        verbose_name_plural = "checks of the ledger"
        permissions = [("run_ledgercheck", "Can check the ledger now")]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M:%S}"

    @property
    def stale(self) -> bool:
        """Whether there should have been another one since."""
        return timezone.now() - self.finished_at > STALE_AFTER
