"""Reservations: money and quota held for a request that is under way."""

from django.db import models


class Reservation(models.Model):
    """Committed before anything is sent upstream; deleted when it is settled.

    `facts` has all that the reaper needs to bill the request if its process dies.
    """

    id = models.UUIDField(primary_key=True)
    customer_id = models.UUIDField()
    team = models.CharField(max_length=60, blank=True)
    key = models.CharField(max_length=16, blank=True)
    day = models.DateField()
    estimate = models.BigIntegerField(help_text="Micro-dollars.")
    lease_until = models.DateTimeField(db_index=True)
    epoch = models.BigIntegerField()
    facts = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "billing_reservation"

    def __str__(self) -> str:
        return str(self.id)
