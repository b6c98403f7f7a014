"""Export and import of flags as YAML files."""

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from django.core.exceptions import ValidationError
from django.db import transaction

from flags import services
from flags.actor import FlagActor
from flags.documents import document
from flags.documents.document import Document
from flags.models import Flag
from flags.wording.field_changes import change_lines
from valuecanvas.core.json_numbers import differ
from valuecanvas.core.models import ConfigQuerySet
from valuecanvas.core.transfer import yaml_io
from valuecanvas.core.transfer.commands import Exported, Imported, write

FORMAT = 1
# A file may kill a flag, never revive it: that is up to people.
KILLED = "killed"


def export(folder: Path, flags: ConfigQuerySet, *, dry: bool = False) -> Exported:
    """Write a file for each of `flags`; unchanged files are not written.

    Raises OSError.
    """
    rows = document.with_parts(flags.order_by("name"))
    written = [
        name
        for name, text in map(_file, rows)
        if write(folder / name, text.encode(), dry=dry)
    ]
    return Exported(len(rows), written)


def _file(flag: Flag) -> tuple[str, str]:
    row = document.export_document(flag) | ({KILLED: True} if flag.killed else {})
    return f"{flag.name}.yaml", yaml_io.dump({"format": FORMAT, "flags": [row]})


def read_flag_files(path: Path) -> list[Document]:
    """The flags of a folder's files, or of one file. Raises ValidationError, OSError."""
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files:
        raise ValidationError(f"{path}: there is no YAML file in it.")
    found: dict[str, Document] = {}
    for file in files:
        for row in _read(file):
            name = str(row.get("name", ""))
            if name in found:
                raise ValidationError(f"{file}: there are two flags '{name}'.")
            found[name] = row
    return list(found.values())


def _read(file: Path) -> list[Document]:
    content = yaml_io.read_file(file)
    rows = content.get("flags") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValidationError(
            f"{file}: This is not a file of flags: it has no list 'flags'."
        )
    if content.get("format") != FORMAT:
        raise ValidationError(f"{file}: Only format {FORMAT} is supported.")
    return rows


def import_flags(
    rows: Iterable[Document], *, actor: FlagActor, reason: str = "", dry: bool = False
) -> Imported:
    """Create or edit each flag of `rows`, all or none; other flags stay.

    Raises ValidationError, whose text names the flag.
    """
    done: dict[str, list[str]] = {}
    created = 0
    with transaction.atomic():
        for name, row in _in_order(rows).items():
            before = _before(name)
            flag = _one(row, name, actor=actor, reason=reason)
            created += before is None
            done[name] = _lines(before, flag)
        if dry:
            transaction.set_rollback(True)
    changed = sum(map(bool, done.values())) - created
    return Imported(
        [f"{name}: {line}" for name, lines in done.items() for line in lines],
        created,
        changed,
        len(done) - created - changed,
    )


def _before(name: str) -> Document | None:
    flag = Flag.objects.filter(name=name).first()
    return None if flag is None else document.state(flag)


def _lines(before: Document | None, flag: Flag) -> list[str]:
    if before is None:
        return ["new"]
    after = document.state(flag)
    other = differ(before["allocation"], after["allocation"])
    # With the same weights others may get them.
    return change_lines(before, after) or ["allocation changed"] * other


def _one(row: Document, name: str, *, actor: FlagActor, reason: str) -> Flag:
    try:
        # YAML reads 2026-12-31 as a date.
        if row.get("expires_on"):
            row = {**row, "expires_on": str(row["expires_on"])}
        rest = {field: value for field, value in row.items() if field != KILLED}
        killed = row.get(KILLED, False)
        if not isinstance(killed, bool):
            raise ValidationError({KILLED: "This is true or false."})
        flag = services.import_flag(rest, actor=actor, reason=reason)
        if killed and not flag.killed:
            flag = services.kill(flag, actor=actor, reason=reason)
        return flag
    except ValidationError as error:
        texts = " ".join(error.messages)
        raise ValidationError(f"{name or 'A flag without a name'}: {texts}") from error


def _in_order(rows: Iterable[Document]) -> dict[str, Document]:
    """Flags by name, after their prerequisites; cycles stay, and are refused later."""
    found = {str(row.get("name", "")): row for row in rows}
    graph = {name: _needs(row) & found.keys() for name, row in found.items()}
    try:
        return {name: found[name] for name in TopologicalSorter(graph).static_order()}
    except CycleError:
        return found


def _needs(row: Document) -> set[str]:
    given = row.get("prerequisites")
    if not isinstance(given, list):
        return set()
    return {str(one.get("flag")) for one in given if isinstance(one, dict)}
