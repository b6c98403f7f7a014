"""Idempotency keys: the request that first used each, its answer, and the repeats."""

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


class IdempotentReplay(models.Model):
    """A request that got the answer to an earlier one again, by its Idempotency-Key.

    Names, not foreign keys, as in the ledger, where a replay has no row: it cost
    nothing. Written with the refusals, see llm/admission/trace_rows.py.
    """

    id = models.UUIDField(primary_key=True, help_text="The request id.")
    created_at = models.DateTimeField()
    original_id = models.UUIDField(
        help_text="The request that was answered first, with the same key."
    )
    user_id = models.CharField("user", max_length=200)
    customer_id = models.UUIDField()
    team = models.CharField(max_length=60, blank=True)
    key = models.CharField(max_length=16, blank=True)
    endpoint = models.CharField(max_length=40)
    model = models.CharField(max_length=200, blank=True)
    trace_id = models.CharField(max_length=64, blank=True)
    job = models.CharField(max_length=60, blank=True)

    class Meta:
        db_table = "billing_replay"
        verbose_name = "replay"
        verbose_name_plural = "replays"
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="billing_replay_time"),
            models.Index(
                fields=["customer_id", "created_at"], name="billing_replay_customer"
            ),
            models.Index(fields=["key", "created_at"], name="billing_replay_key"),
            models.Index(fields=["user_id", "created_at"], name="billing_replay_user"),
        ]

    def __str__(self) -> str:
        return str(self.id)
