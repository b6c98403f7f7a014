"""Idempotency keys: the request that first used each, and its answer."""

from django.db import models


class IdempotencyKey(models.Model):
    """A claimed key. `id` is a digest of customer, method, path and the key itself.

    Written only by the group commit in billing/ledger.
    """

    id = models.CharField(primary_key=True, max_length=64)
    customer_id = models.UUIDField()
    fingerprint = models.CharField(max_length=64)
    request_id = models.UUIDField()
    done = models.BooleanField(default=False)
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(null=True)
    body = models.BinaryField(null=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "billing_idempotency"

    def __str__(self) -> str:
        return str(self.request_id)
