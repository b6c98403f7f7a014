"""Evaluations of a flag by variant and hour."""

from django.db import models


class Exposure(models.Model):
    """Counted by the gateway and OFREP. Names, no foreign key: rows outlive the flag."""

    flag = models.CharField(max_length=100)
    variant = models.CharField(max_length=60)
    hour = models.DateTimeField(help_text="When the hour began, UTC.")
    count = models.BigIntegerField(default=0)
    last_at = models.DateTimeField(help_text="Last seen, to about ten seconds.")

    class Meta:
        db_table = "feature_flag_exposures"
        ordering = ["-hour", "flag", "variant"]
        constraints = [
            models.UniqueConstraint(
                fields=["flag", "hour", "variant"], name="flag_exposure_hour"
            )
        ]

    def __str__(self) -> str:
        return f"{self.flag} {self.variant}: {self.count}"
