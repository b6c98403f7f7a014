from django.db import migrations

DAILY = "Backups: make and verify the daily backup"


def add(apps, schema_editor):
    Crontab = apps.get_model("django_celery_beat", "CrontabSchedule")
    Task = apps.get_model("django_celery_beat", "PeriodicTask")
    at = {"day_of_week": "*", "day_of_month": "*", "month_of_year": "*"}
    nightly, _ = Crontab.objects.get_or_create(minute="23", hour="2", **at)
    Task.objects.get_or_create(
        name=DAILY,
        defaults={
            "task": "backups.daily",
            "crontab": nightly,
            "expire_seconds": 3600,
            "description": "Copies the whole database, encrypted, restores the copy for "
            "trial, and deletes expired backups. See Backups.",
        },
    )


def remove(apps, schema_editor):
    Task = apps.get_model("django_celery_beat", "PeriodicTask")
    Task.objects.filter(name=DAILY).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("backups", "0001_initial"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, remove)]
