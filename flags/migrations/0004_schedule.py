from django.db import migrations

DUE = "Flags: apply scheduled changes"


def add(apps, schema_editor):
    Interval = apps.get_model("django_celery_beat", "IntervalSchedule")
    Task = apps.get_model("django_celery_beat", "PeriodicTask")
    every, _ = Interval.objects.get_or_create(every=15, period="seconds")
    Task.objects.get_or_create(
        name=DUE,
        defaults={
            "task": "flags.apply_due",
            "interval": every,
            "expire_seconds": 60,
            "description": "Writes changes that are due into their flags. They count "
            "from their time on, also where this runs late.",
        },
    )


def remove(apps, schema_editor):
    Task = apps.get_model("django_celery_beat", "PeriodicTask")
    Task.objects.filter(name=DUE).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("flags", "0003_append_only_events"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, remove)]
