"""Backups that are made and deleted are recorded."""

from django.db import migrations

from valuecanvas.core.audit.tables import AuditTable


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0002_schedule"),
        ("core", "0011_audit"),
    ]
    operations = [
        AuditTable(
            "backups_backup",
            "backups.backup",
            label=["name"],
            left_out=[
                "started_at",
                "finished_at",
                "by",
                "tables",
                "rows",
                "steps",
                "rehearsed_at",
            ],
        ),
    ]
