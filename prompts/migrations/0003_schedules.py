from django.db import migrations

STEPS = "Prompts: take due steps of gradual rollouts"


def add(apps, schema_editor):
    Interval = apps.get_model("django_celery_beat", "IntervalSchedule")
    Task = apps.get_model("django_celery_beat", "PeriodicTask")
    # More than one such row may exist: the admin allows it.
    every = Interval.objects.filter(every=15, period="seconds").first()
    if every is None:
        every = Interval.objects.create(every=15, period="seconds")
    Task.objects.get_or_create(
        name=STEPS,
        defaults={
            "task": "prompts.apply_due_steps",
            "interval": every,
            "expire_seconds": 60,
            "description": "Raises the share of rollouts whose next step is due.",
        },
    )


def remove(apps, schema_editor):
    Task = apps.get_model("django_celery_beat", "PeriodicTask")
    Task.objects.filter(name=STEPS).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("prompts", "0002_immutable_versions"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]
    operations = [migrations.RunPython(add, remove)]
