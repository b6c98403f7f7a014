from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # The ledger is large: it is written to while the index is built.
    atomic = False
    dependencies = [("billing", "0015_api_key_issuer")]
    operations = [
        AddIndexConcurrently(
            model_name="usage",
            index=models.Index(
                fields=["job"],
                name="llm_usage_job",
                condition=~models.Q(job=""),
            ),
        ),
    ]
