"""Reads llm_usage once, while it takes rows: all that its partition's bound needs."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

FIND = """
SELECT conname FROM pg_constraint
WHERE conrelid = 'llm_usage'::regclass AND conname LIKE 'llm\\_usage\\_before\\_%' AND NOT convalidated
"""


def validate(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(FIND)
        for (name,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE llm_usage VALIDATE CONSTRAINT {name}")
        # Those from before the trigger.
        cursor.execute(
            "INSERT INTO llm_usage_corrected (id) SELECT corrects FROM llm_usage "
            "WHERE corrects IS NOT NULL ON CONFLICT DO NOTHING"
        )


class Migration(migrations.Migration):
    # The ledger may be large, and takes rows meanwhile.
    atomic = False
    dependencies = [("billing", "0022_usage_bound")]
    operations = [
        migrations.RunPython(validate, migrations.RunPython.noop),
        AddIndexConcurrently(
            model_name="usage",
            index=models.Index(
                fields=["corrects"],
                name="llm_usage_corrects",
                condition=models.Q(corrects__isnull=False),
            ),
        ),
    ]
