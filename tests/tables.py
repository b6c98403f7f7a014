"""Empties the tables after a test that commits, more quickly than Django's flush."""

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import F
from django_celery_beat.models import PeriodicTask

from valuecanvas.core.management.commands.flush import SCHEDULES
from valuecanvas.core.models import Epoch
from valuecanvas.site.schedules import BUILT_IN

# What migrations made: no test can do without.
KEPT = ["django_migrations", "django_content_type", "auth_permission"] + [
    model._meta.db_table for model in (*SCHEDULES, Epoch)
]
TABLES = """
SELECT relname, reltuples > 0 OR pg_relation_size(oid) > 1000000 FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> ALL(%s)
"""


def empty_tables() -> None:
    """Empty those that have rows. The epoch moves on, as with a flush."""
    with transaction.atomic(), connection.cursor() as cursor:
        # No guard of the books and no reference stands in the way.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(TABLES, [KEPT])
        large = dict(cursor.fetchall())
        names = ", ".join(f'"{name}"' for name in large)
        # What another process is writing is waited for.
        cursor.execute(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
        filled = _filled(cursor, list(large))
        for name, is_large in large.items():
            if is_large:
                # Its statistics, which a list page shows, go too.
                cursor.execute(f'TRUNCATE "{name}" CASCADE')
            elif name in filled:
                # Of few rows much quicker than TRUNCATE, which makes new files.
                cursor.execute(f'DELETE FROM "{name}"')  # noqa: S608 - a table's name
        # A beat would run those of a test, or of a recurring job that is gone.
        PeriodicTask.objects.exclude(name__in=BUILT_IN).delete()
    Epoch.objects.update(value=F("value") + 1)


def _filled(cursor: CursorWrapper, names: list[str]) -> set[str]:
    look = "SELECT '{0}' WHERE EXISTS (SELECT FROM \"{0}\")"
    each = (look.format(name) for name in names)
    cursor.execute(" UNION ALL ".join(each))
    return {name for (name,) in cursor.fetchall()}
