"""The built-in periodic work of all apps: the rows of Periodic tasks that each installation has."""

from django_celery_beat.models import PeriodicTask

from billing import tasks as billing
from flags import tasks as flags
from llm import tasks as llm
from prompts import tasks as prompts
from valuecanvas.backups import tasks as backups
from valuecanvas.core.audit import tasks as audit
from valuecanvas.core.db.periodic_work import PeriodicWork, ensure_work
from valuecanvas.core.webhooks import tasks as webhooks

BUILT_IN: dict[str, PeriodicWork] = {
    work.name: work
    for app in (audit, backups, billing, flags, llm, prompts, webhooks)
    for work in app.PERIODIC
}


def is_built_in(task: PeriodicTask | None) -> bool:
    return task is not None and task.name in BUILT_IN


def ensure_schedules() -> list[str]:
    """Create or update the built-in periodic tasks. Returns the names of those that changed.

    What operators edit, the times and on or off, stays.
    """
    return ensure_work(BUILT_IN.values())
