from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("core", "0001_initial")]
    operations = [
        migrations.RunSQL(
            "INSERT INTO core_epoch (id, value) VALUES (1, 1) ON CONFLICT DO NOTHING",
            "DELETE FROM core_epoch",
        )
    ]
