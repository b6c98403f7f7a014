"""Base classes of the commands that export rows to files and import them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from valuecanvas.core.audit import audit_context

DRY_RUN = "Only show what would be done."
REASON = "Imported."


@dataclass(frozen=True, slots=True)
class Exported:
    """The number of rows, and the files that were written."""

    rows: int
    written: Sequence[str]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or would do: one line per change, and counts of rows.

    `notes` say what differs and stays.
    """

    lines: Sequence[str]
    created: int
    changed: int
    same: int
    deleted: int = 0
    notes: Sequence[str] = ()

    def __add__(self, other: "Imported") -> "Imported":
        return Imported(
            [*self.lines, *other.lines],
            self.created + other.created,
            self.changed + other.changed,
            self.same + other.same,
            self.deleted + other.deleted,
            [*self.notes, *other.notes],
        )


class ExportCommand(BaseCommand):
    """`COMMAND FOLDER [KEY ...] [--dry-run]`."""

    # The plural name of the objects: prompts.
    noun: ClassVar[str]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="Made where it is missing.")
        parser.add_argument(
            "keys", nargs="*", metavar="KEY", help="Only these; without one, all."
        )
        parser.add_argument("--dry-run", action="store_true", help=DRY_RUN)

    def export(self, folder: Path, keys: Sequence[str], *, dry: bool) -> Exported:
        """Raises OSError."""
        raise NotImplementedError

    def existing_keys(self, keys: Sequence[str]) -> Iterable[str]:
        """Those of `keys` that exist."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> str:
        keys, dry = options["keys"], options["dry_run"]
        if missing := sorted(set(keys) - set(self.existing_keys(keys))):
            raise CommandError(f"There is no {self.noun[:-1]} '{missing[0]}'.")
        try:
            done = self.export(options["folder"], keys, dry=dry)
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}.") from None
        for name in done.written:
            self.stdout.write(name)
        verb = "Would export" if dry else "Exported"
        return f"{verb} {done.rows} {self.noun}: {len(done.written)} files written."


class ImportCommand(BaseCommand):
    """`COMMAND FOLDER [--reason TEXT] [--dry-run]`."""

    noun: ClassVar[str]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="Of YAML files, as exported.")
        parser.add_argument(
            "--reason", default=REASON, metavar="TEXT", help="Why; kept in the audit."
        )
        parser.add_argument("--dry-run", action="store_true", help=DRY_RUN)

    def load(self, folder: Path, *, reason: str, dry: bool) -> Imported:
        """All of it or nothing. Raises ValidationError, OSError."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> str:
        folder, dry = options["folder"], options["dry_run"]
        audit_context.explain(options["reason"])
        try:
            done = self.load(folder, reason=options["reason"], dry=dry)
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}.") from None
        except ValidationError as error:
            raise CommandError("\n".join(error.messages)) from None
        for line in (*done.lines, *done.notes):
            self.stdout.write(line)
        verb = "Would import" if dry else "Imported"
        rows = done.created + done.changed + done.same
        deleted = f", {done.deleted} deleted" if done.deleted else ""
        return (
            f"{verb} {rows} {self.noun}: {done.created} created, {done.changed} "
            f"changed, {done.same} as they were{deleted}."
        )


def write(path: Path, data: bytes, *, dry: bool) -> bool:
    """Write the file if it differs. Returns whether it did. Raises OSError."""
    if path.is_file() and path.read_bytes() == data:
        return False
    if not dry:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return True


def field_errors(error: ValidationError) -> str:
    """The messages in one line, with the names of their fields."""
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    rows = error.message_dict.items()
    return " ".join(f"{field}: {text}" for field, texts in rows for text in texts)
