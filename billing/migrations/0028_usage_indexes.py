"""Indexes for the filters of the Requests list: one may fit few rows of a large ledger."""

from django.db import migrations, models

from valuecanvas.core.db.partitioned_index import AddIndexToPartitions

INDEXES = (
    models.Index(
        fields=["customer_id", "created_at"], name="llm_usage_customer_time"
    ),
    models.Index(fields=["provider", "created_at"], name="llm_usage_provider"),
    models.Index(fields=["team", "created_at"], name="llm_usage_team"),
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
)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("billing", "0027_usage_rollups")]
    operations = [AddIndexToPartitions("usage", index) for index in INDEXES]
