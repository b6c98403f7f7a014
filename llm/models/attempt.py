"""Upstream attempts beyond the delivered one."""

from django.db import models


class Attempt(models.Model):
    """An upstream call that failed, or cost something and was not delivered."""

    id = models.UUIDField(primary_key=True)
    request_id = models.UUIDField(db_index=True)
    number = models.PositiveSmallIntegerField()
    provider = models.CharField(max_length=60)
    upstream_model = models.CharField(max_length=200)
    outcome = models.CharField(max_length=30)
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=300, blank=True)
    # The chaos experiment or drill that made it fail.
    injected_by = models.CharField(max_length=60, blank=True, db_default="")
    latency_ms = models.IntegerField()
    provider_cost_usd = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "failed attempt"

    def __str__(self) -> str:
        return f"{self.request_id} #{self.number}"
