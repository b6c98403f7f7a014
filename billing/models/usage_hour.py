"""Rollups of the ledger: exact sums by hour, by day and by week, for reports."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models


class UsageHour(models.Model):
    """The sums of one group of requests in one hour, day or week (UTC).

    `level` says whether of an hour, a day or a week, and which of the dimensions the group has;
    the others are empty: see billing/usage/levels.py. Written by billing/usage/rollup.py
    and weeks.py alone. The time of a row of the ledger is its created_at.
    """

    # A digest of level, start and group: one index probe.
    id = models.UUIDField(primary_key=True)
    level = models.SmallIntegerField()
    start = models.DateTimeField()
    team = models.CharField(max_length=60, default="")
    customer_id = models.UUIDField(default=uuid.UUID(int=0))
    key = models.CharField(max_length=16, default="")
    model = models.CharField(max_length=200, default="")
    provider = models.CharField(max_length=60, default="")
    endpoint = models.CharField(max_length=40, default="")
    prompt_key = models.CharField(max_length=200, default="")
    prompt_version = models.IntegerField(default=0)
    variant = models.CharField(max_length=100, default="")
    tags = ArrayField(models.CharField(max_length=60), default=list)
    requests = models.BigIntegerField()
    ok = models.BigIntegerField()
    failed = models.BigIntegerField()
    cached = models.BigIntegerField()
    corrections = models.BigIntegerField()
    prompt_tokens = models.BigIntegerField()
    completion_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    cost_usd = models.DecimalField(max_digits=24, decimal_places=6)
    provider_cost_usd = models.DecimalField(max_digits=24, decimal_places=6)
    saved_usd = models.DecimalField(max_digits=24, decimal_places=6)
    latency = ArrayField(
        models.BigIntegerField(),
        default=list,
        help_text="Of each bucket of the sketch: its number << 32, plus its count.",
    )

    class Meta:
        db_table = "billing_usage_hour"
        indexes = [models.Index(fields=["start"], name="billing_usage_hour_start")]

    def __str__(self) -> str:
        return str(self.id)


class RollupState(models.Model):
    """One row: up to which time the ledger is in the rollups, and in those of weeks."""

    until = models.DateTimeField(null=True)
    # A Monday: the weeks before it are summed up.
    weeks_until = models.DateField(null=True)

    class Meta:
        db_table = "billing_rollup_state"

    def __str__(self) -> str:
        return str(self.until)


class LateDay(models.Model):
    """A day to sum up again: rows came that are older than what was summed up then."""

    day = models.DateField(primary_key=True)

    class Meta:
        db_table = "billing_late_day"

    def __str__(self) -> str:
        return self.day.isoformat()
