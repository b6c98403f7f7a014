"""All requests: those of the ledger, replays, and those that were refused."""

from django.db import models


class Request(models.Model):
    """A row of the database view `billing_request`: see migration 0029.

    A view and no table, so that all parts keep their indexes: a condition or an order of
    time on these columns is answered from them.
    """

    id = models.UUIDField(primary_key=True)
    created_at = models.DateTimeField()
    refused = models.BooleanField()
    user_id = models.CharField("user", max_length=200)
    customer_id = models.UUIDField(null=True)
    end_user = models.CharField(max_length=200)
    team = models.CharField(max_length=60)
    key = models.CharField(max_length=16)
    endpoint = models.CharField(max_length=40)
    model = models.CharField(max_length=200)
    provider = models.CharField(max_length=60)
    # Of the ledger, or 'replayed' or 'refused'.
    status = models.CharField(max_length=20)
    code = models.CharField(max_length=80)
    cached = models.BooleanField()
    prompt_key = models.CharField(max_length=200)
    prompt_tokens = models.BigIntegerField()
    completion_tokens = models.BigIntegerField()
    cost_usd = models.DecimalField(max_digits=18, decimal_places=6)
    latency_ms = models.IntegerField(null=True)
    job = models.CharField(max_length=60)

    # The tables of which it is made, for the estimate of its rows.
    tables = ("llm_usage", "billing_refusal", "billing_replay")

    class Meta:
        managed = False
        db_table = "billing_request"
        default_permissions = ("view",)
        verbose_name = "request"
        verbose_name_plural = "requests"

    def __str__(self) -> str:
        return str(self.id)
