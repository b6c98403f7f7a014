from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # Webhooks are queued and sent while the index is built.
    atomic = False
    dependencies = [("core", "0007_webhook_kinds")]
    operations = [
        AddIndexConcurrently(
            model_name="webhookdelivery",
            index=models.Index(
                fields=["about"],
                name="core_webhook_about",
                condition=~models.Q(about=""),
            ),
        ),
    ]
