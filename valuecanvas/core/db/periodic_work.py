"""The product's own periodic work: the code says what runs, operators say when."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

# The columns of `crontab` in the order in which it is written.
CRON_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


@dataclass(frozen=True, slots=True)
class PeriodicWork:
    """A task that every installation runs periodically. Its name is never changed.

    It runs `every` so many seconds, or else by a `crontab` of five fields in UTC, until
    operators choose other times. Past `expire_seconds` a message is dropped.
    """

    name: str
    task: str
    description: str
    every: int = 0
    crontab: str = ""
    # A JSON object.
    kwargs: str = "{}"
    expire_seconds: int | None = None

    def fixed_columns(self) -> dict[str, Any]:
        """The columns that no operator edits."""
        return {
            "task": self.task,
            "description": self.description,
            "args": "[]",
            "kwargs": self.kwargs,
            "headers": "{}",
            "expires": None,
            "expire_seconds": self.expire_seconds,
            **dict.fromkeys(("queue", "exchange", "routing_key", "priority")),
        }

    def first_times(self) -> dict[str, Any]:
        """The schedule that it starts with."""
        if not self.every:
            return {"crontab": find_crontab(self.crontab)}
        wanted = {"every": self.every, "period": IntervalSchedule.SECONDS}
        found = IntervalSchedule.objects.filter(**wanted).first()
        return {"interval": found or IntervalSchedule.objects.create(**wanted)}


def parse_crontab(expression: str, timezone: str = "UTC") -> CrontabSchedule:
    """The crontab of five fields, not saved. Raises ValidationError."""
    parts = expression.split()
    if len(parts) != len(CRON_FIELDS):
        raise ValidationError("A crontab has five fields, such as '0 9 * * 1'.")
    wanted = CrontabSchedule(
        **dict(zip(CRON_FIELDS, parts, strict=True)), timezone=timezone
    )
    wanted.clean_fields()
    return wanted


def find_crontab(expression: str, timezone: str = "UTC") -> CrontabSchedule:
    """The row of a crontab, made if it is missing. Raises ValidationError."""
    wanted = parse_crontab(expression, timezone)
    fields = {name: getattr(wanted, name) for name in (*CRON_FIELDS, "timezone")}
    # The admin allows several alike.
    same = CrontabSchedule.objects.filter(**fields).first()
    if same is None:
        wanted.save()
    return same or wanted


@transaction.atomic
def ensure_work(works: Iterable[PeriodicWork]) -> list[str]:
    """Create what is missing and update what operators cannot edit. Returns the names."""
    return [work.name for work in works if _ensure(work)]


def _ensure(work: PeriodicWork) -> bool:
    row = PeriodicTask.objects.select_for_update().filter(name=work.name).first()
    wanted = work.fixed_columns()
    if row is None:
        PeriodicTask.objects.create(name=work.name, **wanted, **work.first_times())
        return True
    # A moment chosen by an operator is of a task that runs once.
    wanted["one_off"] = row.clocked_id is not None
    changes = {name: one for name, one in wanted.items() if getattr(row, name) != one}
    for name, value in changes.items():
        setattr(row, name, value)
    if changes:
        row.save()
    return bool(changes)
