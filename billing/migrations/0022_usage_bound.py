"""Prepares llm_usage to become a partition: a bound of its ids, and one row a correction."""

import datetime as dt

from django.db import migrations, models

# A correction is unique per request whatever the partition: the primary key says so, for
# rows of the version before too, whose statements do not know the table.
CORRECTED = """
CREATE FUNCTION llm_usage_note_correction() RETURNS trigger AS $$
BEGIN
    INSERT INTO llm_usage_corrected (id) VALUES (NEW.corrects);
    RETURN NULL;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER llm_usage_corrected AFTER INSERT ON llm_usage FOR EACH ROW
WHEN (NEW.corrects IS NOT NULL) EXECUTE FUNCTION llm_usage_note_correction();
CREATE TRIGGER llm_usage_corrected_kept BEFORE UPDATE OR DELETE ON llm_usage_corrected
FOR EACH ROW EXECUTE FUNCTION llm_usage_is_append_only();
CREATE TRIGGER llm_usage_corrected_not_emptied BEFORE TRUNCATE ON llm_usage_corrected
FOR EACH STATEMENT EXECUTE FUNCTION llm_usage_is_append_only();
"""
NOT_CORRECTED = """
DROP TRIGGER llm_usage_corrected ON llm_usage;
DROP FUNCTION llm_usage_note_correction();
"""


def bound(apps, schema_editor):
    """Existing rows go into one partition, up to a month that is at least four weeks off:
    until the next migrations have run, the check would refuse later ids."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT now(), EXISTS (SELECT FROM llm_usage)")
        now, filled = cursor.fetchone()
    month = now.astimezone(dt.UTC).date().replace(day=1)
    for _ in range(2 if filled else 0):
        month = (month + dt.timedelta(days=31)).replace(day=1)
    millis = int(dt.datetime(month.year, month.month, 1, tzinfo=dt.UTC).timestamp()) * 1000
    schema_editor.execute(
        f"ALTER TABLE llm_usage ADD CONSTRAINT llm_usage_before_{month:%Y_%m} "
        f"CHECK (id < '{millis:012x}{0:020x}') NOT VALID"
    )


def unbound(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = 'llm_usage'::regclass "
            "AND conname LIKE 'llm\\_usage\\_before\\_%'"
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE llm_usage DROP CONSTRAINT {name}")


class Migration(migrations.Migration):
    safe_because = "Triggers and a check that is not validated need a lock for a moment."
    dependencies = [("billing", "0021_requests")]
    operations = [
        migrations.CreateModel(
            name="CorrectedRequest",
            fields=[("id", models.UUIDField(primary_key=True, serialize=False))],
            options={"db_table": "llm_usage_corrected"},
        ),
        migrations.CreateModel(
            name="UsageArchive",
            fields=[
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("end", models.DateField(help_text="Its request ids are from before this day.")),
                ("complete_from", models.DateField(help_text="From this day on no row of any day is in the file.")),
                ("path", models.CharField(max_length=500, verbose_name="file")),
                ("sha256", models.CharField(max_length=64, verbose_name="SHA-256")),
                ("rows", models.BigIntegerField()),
                ("cost_usd", models.DecimalField(decimal_places=6, max_digits=24)),
                ("archived_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={"verbose_name": "archived month", "ordering": ["-end"]},
        ),
        migrations.RunSQL(CORRECTED, NOT_CORRECTED),
        migrations.RunPython(bound, unbound),
    ]
