"""The ledger: one row for each answered or billed request. Append-only."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models


class Usage(models.Model):
    """What a request used and cost. Names, not foreign keys: history outlives rows.

    The database refuses changes (triggers: migration 0009), except that the names of an
    erased customer are removed (0026). The table is partitioned by month, by ranges of
    ids, which begin with their time: see billing/usage/partitions.py.
    """

    id = models.UUIDField(primary_key=True, help_text="The request id.")
    user_id = models.CharField("user", max_length=200)
    customer_id = models.UUIDField()
    end_user = models.CharField(
        max_length=200,
        blank=True,
        db_default="",
        help_text="The request's field 'user': whom the client says that it is for.",
    )
    key = models.CharField(max_length=16, blank=True)
    team = models.CharField(max_length=60, blank=True)
    model = models.CharField(max_length=200)
    provider = models.CharField(max_length=60, blank=True)
    upstream_model = models.CharField(max_length=200, blank=True)
    endpoint = models.CharField(max_length=40)
    prompt_tokens = models.BigIntegerField(default=0)
    completion_tokens = models.BigIntegerField(default=0)
    cached_tokens = models.BigIntegerField(default=0)
    # The database's own default is for a process that does not know the column yet.
    cache_write_tokens = models.BigIntegerField(default=0, db_default=0)
    cost_usd = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    provider_cost_usd = models.DecimalField(max_digits=18, decimal_places=6, default=0)
    cached = models.BooleanField(default=False)
    saved_usd = models.DecimalField(
        max_digits=18,
        decimal_places=6,
        default=0,
        help_text="What a cached answer would have cost.",
    )
    status = models.CharField(max_length=20)
    error_code = models.CharField(max_length=80, blank=True)
    latency_ms = models.IntegerField(default=0)
    ttft_ms = models.IntegerField(null=True)
    attempts = models.SmallIntegerField(default=0)
    prompt_key = models.CharField(max_length=200, blank=True)
    prompt_version = models.IntegerField(null=True)
    variant = models.CharField(max_length=100, blank=True)
    subject = models.BigIntegerField(
        null=True,
        help_text="A digest of whom the variant was drawn for: not always the user.",
    )
    flags = models.JSONField(default=dict)
    job = models.CharField(max_length=60, blank=True)
    # Without a value: a version that did not count by model and tag wrote the row.
    tags = ArrayField(models.CharField(max_length=60), null=True, default=list)
    epoch = models.BigIntegerField()
    trace_id = models.CharField(max_length=64, blank=True)
    source = models.CharField(
        max_length=12, help_text="Who counted: provider, gateway or reaper."
    )
    marks = ArrayField(
        models.CharField(max_length=20),
        default=list,
        help_text="estimated, mismatch, unpriced, suspect, capped, refunded",
    )
    day = models.DateField(help_text="The UTC day of admission.")
    created_at = models.DateTimeField(help_text="When it was settled.")
    corrects = models.UUIDField(
        null=True,
        blank=True,
        help_text="Of a row with the status 'correction': the request it corrects.",
    )

    class Meta:
        db_table = "llm_usage"
        verbose_name = "request"
        verbose_name_plural = "requests"
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="llm_usage_time"),
            models.Index(fields=["customer_id", "day"], name="llm_usage_customer"),
            models.Index(
                fields=["customer_id", "created_at"], name="llm_usage_customer_time"
            ),
            models.Index(fields=["user_id", "created_at"], name="llm_usage_user"),
            models.Index(fields=["key", "created_at"], name="llm_usage_key"),
            models.Index(
                fields=["end_user", "created_at"],
                name="llm_usage_end_user",
                condition=~models.Q(end_user=""),
            ),
            models.Index(fields=["model", "created_at"], name="llm_usage_model"),
            models.Index(fields=["provider", "created_at"], name="llm_usage_provider"),
            models.Index(fields=["team", "created_at"], name="llm_usage_team"),
            # Failures and hits can be rare, and are asked for by time.
            models.Index(
                fields=["created_at"],
                name="llm_usage_not_ok",
                condition=~models.Q(status="ok"),
            ),
            models.Index(
                fields=["created_at"],
                name="llm_usage_cached",
                condition=models.Q(cached=True),
            ),
            models.Index(
                fields=["prompt_key", "created_at"],
                name="llm_usage_prompt",
                condition=~models.Q(prompt_key=""),
            ),
            models.Index(
                fields=["job"],
                name="llm_usage_job",
                condition=~models.Q(job=""),
            ),
            # Days are nearly in the order of the table: cheap to maintain.
            BrinIndex(
                fields=["day"],
                name="llm_usage_day",
                pages_per_range=32,
                autosummarize=True,
            ),
            models.Index(
                fields=["provider", "upstream_model", "created_at"],
                name="llm_usage_unpriced",
                condition=models.Q(marks__contains=["unpriced"]),
            ),
            models.Index(
                fields=["corrects"],
                name="llm_usage_corrects",
                condition=models.Q(corrects__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class CorrectedRequest(models.Model):
    """A request that has a correction: its primary key allows no second one.

    A unique index cannot span the partitions of the ledger. A trigger adds the row with
    the correction, whoever writes it.
    """

    id = models.UUIDField(primary_key=True)

    class Meta:
        db_table = "llm_usage_corrected"

    def __str__(self) -> str:
        return str(self.id)


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
