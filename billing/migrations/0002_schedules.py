from django.db import migrations

REAP, PURGE = "Billing: end abandoned reservations", "Billing: purge old bookkeeping"


def add(apps, schema_editor):
    Interval = apps.get_model("django_celery_beat", "IntervalSchedule")
    Crontab = apps.get_model("django_celery_beat", "CrontabSchedule")
    Task = apps.get_model("django_celery_beat", "PeriodicTask")
    every, _ = Interval.objects.get_or_create(every=15, period="seconds")
    nightly, _ = Crontab.objects.get_or_create(
        minute="17", hour="3", day_of_week="*", day_of_month="*", month_of_year="*"
    )
    Task.objects.get_or_create(
        name=REAP,
        defaults={
            "task": "billing.reap",
            "interval": every,
            "expire_seconds": 60,
            "description": "Bills requests whose process died, by what is known.",
        },
    )
    Task.objects.get_or_create(
        name=PURGE,
        defaults={
            "task": "billing.purge",
            "crontab": nightly,
            "expire_seconds": 3600,
            "description": "Removes counters and change rows that nothing reads.",
        },
    )


def remove(apps, schema_editor):
    Task = apps.get_model("django_celery_beat", "PeriodicTask")
    Task.objects.filter(name__in=[REAP, PURGE]).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0001_initial"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, remove)]
