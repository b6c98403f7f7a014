"""Django's flush, which keeps the rows from migrations that every process needs."""

from typing import Any

from django.core.management.base import CommandError
from django.core.management.color import no_style
from django.core.management.commands import flush
from django.db import ProgrammingError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from valuecanvas.core.models import Epoch

# In the order of their references.
SCHEDULES = (IntervalSchedule, CrontabSchedule, PeriodicTask)


def _lift_guards(cursor: CursorWrapper) -> None:
    """Disable the ledger's triggers, which refuse deletions, in this transaction."""
    try:
        cursor.execute("SET LOCAL session_replication_role = replica")
    except ProgrammingError as error:
        raise CommandError(
            "The database protects the ledger: only a superuser of the database may flush."
        ) from error


class Command(flush.Command):
    help = "Empty every table. The schedules stay; so does the epoch, and moves on."

    def handle(self, **options: Any) -> None:
        held = Epoch.objects.values_list("value", flat=True).first()
        kept = [[*model.objects.all()] for model in SCHEDULES]
        with transaction.atomic(), connection.cursor() as cursor:
            _lift_guards(cursor)
            # Tables that no model of ours owns (waffle's own flags) refer to some that do.
            super().handle(**{**options, "allow_cascade": True})
            cursor.execute("SET LOCAL session_replication_role = DEFAULT")
        # Raised: a process with the old epoch must notice that it is behind.
        Epoch.objects.update_or_create(pk=1, defaults={"value": (held or 0) + 1})
        for model, rows in zip(SCHEDULES, kept, strict=True):
            model.objects.bulk_create(rows)
        with connection.cursor() as cursor:
            for statement in connection.ops.sequence_reset_sql(no_style(), SCHEDULES):
                cursor.execute(statement)
