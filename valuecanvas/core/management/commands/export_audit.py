"""Writes the audit to standard output: `manage.py export_audit --from 2026-01-01`."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from valuecanvas.core.audit.audit_export import export_lines
from valuecanvas.core.audit.record import record
from valuecanvas.core.models import AuditEntry
from valuecanvas.core.transfer.downloads import KINDS


class Command(BaseCommand):
    help = "Write the audit to standard output, newest entry first. Days are in UTC."

    def add_arguments(self, parser: CommandParser) -> None:
        for option, dest in (("--from", "first"), ("--to", "last")):
            parser.add_argument(
                option,
                dest=dest,
                type=date.fromisoformat,
                metavar="YYYY-MM-DD",
                help=f"The {dest} day.",
            )
        parser.add_argument(
            "--format",
            choices=sorted(KINDS),
            default="ndjson",
            help="Default: %(default)s.",
        )

    def handle(
        self, *, first: date | None, last: date | None, format: str, **options: Any
    ) -> None:
        rows = AuditEntry.objects.all()
        if first:
            rows = rows.filter(at__gte=_midnight(first))
        if last:
            rows = rows.filter(at__lt=_midnight(last + timedelta(days=1)))
        span = {"from": str(first or ""), "to": str(last or "")}
        record("data.exported", label=f"audit.{format}", detail=span)
        for piece in export_lines(rows, format):
            self.stdout.write(piece.decode(), ending="")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
