from django.db import migrations

PURGE = "Flags: forget old exposures"


def add(apps, schema_editor):
    Crontab = apps.get_model("django_celery_beat", "CrontabSchedule")
    Task = apps.get_model("django_celery_beat", "PeriodicTask")
    nightly, _ = Crontab.objects.get_or_create(
        minute="40",
        hour="3",
        day_of_week="*",
        day_of_month="*",
        month_of_year="*",
        timezone="UTC",
    )
    Task.objects.get_or_create(
        name=PURGE,
        defaults={
            "task": "flags.purge",
            "crontab": nightly,
            "description": "Deletes counts of exposures that are older than 90 days.",
        },
    )


def remove(apps, schema_editor):
    Task = apps.get_model("django_celery_beat", "PeriodicTask")
    Task.objects.filter(name=PURGE).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0005_exposures"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, remove)]
