from django.db import migrations

HOURLY = "Billing: check the ledger"
NIGHTLY = "Billing: check the ledger of the last 32 days"


def add(apps, schema_editor):
    Crontab = apps.get_model("django_celery_beat", "CrontabSchedule")
    Task = apps.get_model("django_celery_beat", "PeriodicTask")
    at = {"day_of_week": "*", "day_of_month": "*", "month_of_year": "*"}
    hourly, _ = Crontab.objects.get_or_create(minute="7", hour="*", **at)
    nightly, _ = Crontab.objects.get_or_create(minute="37", hour="3", **at)
    Task.objects.get_or_create(
        name=HOURLY,
        defaults={
            "task": "billing.reconcile",
            "crontab": hourly,
            "expire_seconds": 1800,
            "description": "Compares counters, reservations and ledger of today and "
            "yesterday. See Ledger health.",
        },
    )
    Task.objects.get_or_create(
        name=NIGHTLY,
        defaults={
            "task": "billing.reconcile",
            "kwargs": '{"days": 32}',
            "crontab": nightly,
            "expire_seconds": 3600,
            "description": "The same for every day that a monthly budget may count.",
        },
    )


def remove(apps, schema_editor):
    Task = apps.get_model("django_celery_beat", "PeriodicTask")
    Task.objects.filter(name__in=[HOURLY, NIGHTLY]).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0004_ledger_health"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, remove)]
