"""Tells the alert rules of a missing backup."""

from collections.abc import Iterator

from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Min
from django.urls import reverse
from django.utils import timezone

from billing.alerts.types import Condition
from billing.models import AlertRule
from valuecanvas.backups import history


def find_missing_backup(rule: AlertRule) -> Iterator[Condition]:
    """Whether there is no fresh verified backup; a new installation gets time for one."""
    status = history.status()
    if status.ok or _is_new():
        return
    yield Condition(
        "backup",
        f"There is no verified backup of the last 26 hours: {status.text}.",
        link=reverse("admin:backups_backup_changelist"),
    )


def _is_new() -> bool:
    first = MigrationRecorder.Migration.objects.aggregate(at=Min("applied"))["at"]
    return first is not None and timezone.now() - first < history.OVERDUE
