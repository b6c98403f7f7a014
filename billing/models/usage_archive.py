"""Months of the ledger that were exported and taken out of the database."""

from django.db import models


class UsageArchive(models.Model):
    """A partition of the ledger that is a file now. Counters and rollups stay."""

    name = models.CharField(primary_key=True, max_length=40)
    end = models.DateField(help_text="Its request ids are from before this day.")
    complete_from = models.DateField(
        help_text="From this day on no row of any day is in the file."
    )
    path = models.CharField("file", max_length=500)
    sha256 = models.CharField("SHA-256", max_length=64)
    rows = models.BigIntegerField()
    cost_usd = models.DecimalField(max_digits=24, decimal_places=6)
    archived_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-end"]
        verbose_name = "archived month"

    def __str__(self) -> str:
        return self.name
