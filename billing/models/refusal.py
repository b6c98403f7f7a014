"""The trace of refused requests, kept for some days (settings.REFUSALS_KEEP_DAYS)."""

from django.db import models

from valuecanvas.core.ids import uuid7


class RefusalStep(models.TextChoices):
    """The step of the gateway at which a request was refused."""

    AUTHENTICATE = "authenticate", "who calls"
    VALIDATE = "validate", "the request's form"
    RESOLVE = "resolve", "model, prompt and price"
    LOOK_UP = "look up", "limits a minute"
    ADMIT = "admit", "quota and budgets"


class Refusal(models.Model):
    """A request that was refused before any provider was called.

    Names, not foreign keys, as in the ledger. Written in batches by each process, see
    llm/admission/refusal_trace.py.
    """

    id = models.UUIDField(primary_key=True, help_text="The request id.")
    created_at = models.DateTimeField(help_text="When it was refused.")
    user_id = models.CharField("user", max_length=200, blank=True)
    customer_id = models.UUIDField(null=True, help_text="Empty: the caller is unknown.")
    team = models.CharField(max_length=60, blank=True)
    key = models.CharField(max_length=16, blank=True)
    endpoint = models.CharField(max_length=40)
    model = models.CharField(
        max_length=200, blank=True, help_text="As the request named it."
    )
    step = models.CharField(max_length=12, choices=RefusalStep)
    status = models.PositiveSmallIntegerField(help_text="The HTTP status.")
    code = models.CharField(max_length=80)
    param = models.CharField(max_length=200, blank=True)
    message = models.CharField(max_length=1000, help_text="As the caller got it.")
    limits = models.JSONField(default=list)
    max_tokens = models.BigIntegerField(
        null=True, help_text="The highest cap that would have passed."
    )
    retry_at = models.DateTimeField(
        null=True, help_text="When a repeat could have passed."
    )
    epoch = models.BigIntegerField(null=True)
    trace_id = models.CharField(max_length=64, blank=True)
    job = models.CharField(max_length=60, blank=True)

    class Meta:
        verbose_name = "refusal"
        verbose_name_plural = "refusals"
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="billing_refusal_time"),
            models.Index(
                fields=["customer_id", "created_at"], name="billing_refusal_customer"
            ),
            models.Index(fields=["key", "created_at"], name="billing_refusal_key"),
            models.Index(fields=["code", "created_at"], name="billing_refusal_code"),
            models.Index(fields=["user_id", "created_at"], name="billing_refusal_user"),
        ]
        constraints = [
            # A job that waits is refused again and again for one reason.
            models.UniqueConstraint(
                fields=["job", "code"],
                condition=~models.Q(job=""),
                name="billing_refusal_job_once",
            )
        ]

    def __str__(self) -> str:
        return str(self.id)


class RefusalCount(models.Model):
    """How many refusals of a caller and minute were counted and not kept whole."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    minute = models.DateTimeField()
    customer_id = models.UUIDField()
    key = models.CharField(max_length=16, blank=True)
    code = models.CharField(max_length=80)
    endpoint = models.CharField(max_length=40)
    count = models.BigIntegerField()

    class Meta:
        db_table = "billing_refusal_count"
        constraints = [
            models.UniqueConstraint(
                fields=["minute", "customer_id", "key", "code", "endpoint"],
                name="billing_refusal_count_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.minute:%Y-%m-%d %H:%M} {self.code}"
