"""Counters: requests and money by scope and UTC day."""

from django.db import models


class Counter(models.Model):
    """What one scope used, spent and holds reserved in one UTC day.

    A month's or a total budget is the sum of the days. Written only by the group
    commit in billing/ledger. Amounts are micro-dollars.
    """

    # scope, scope_id and day in one text, e.g. 'c:<uuid>:2026-11-23': one index probe.
    key = models.CharField(primary_key=True, max_length=320)
    scope = models.CharField(max_length=1)
    scope_id = models.CharField(max_length=200)
    day = models.DateField()
    used = models.BigIntegerField(default=0)
    spent = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)

    class Meta:
        db_table = "billing_counter"
        indexes = [
            models.Index(fields=["scope", "scope_id", "day"]),
            models.Index(fields=["day", "key"], name="billing_counter_day"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(used__gte=0, reserved__gte=0),
                name="billing_counter_not_negative",
            )
        ]

    def __str__(self) -> str:
        return self.key
