"""Brings the database to what the tree says, in one transaction."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, transaction
from django.db.models import ProtectedError

from flags.actor import FlagActor
from llm.setup import seed
from prompts.services import PromptActor
from valuecanvas.config_tree.exchanges import NOT_IN_TREE, load_flags, load_prompts
from valuecanvas.config_tree.field_values import KnownRows, canonical
from valuecanvas.config_tree.sections import FIRST, LAST, SECTIONS
from valuecanvas.config_tree.tree_reader import Tree, TreeRow, read_tree
from valuecanvas.config_tree.tree_section import Document, TreeSection
from valuecanvas.core.db import epoch, locks
from valuecanvas.core.transfer.commands import Imported, field_errors

# The account that LogEntry needs; nobody can log in with it.
ACCOUNT = "command-line"
# Characters of a value in a line.
_SHORT = 100


def import_tree(
    folder: Path, *, actor: PromptActor, reason: str, delete: bool, dry: bool
) -> Imported:
    """All of it or nothing; `dry` does it and takes it back.

    `delete` deletes what the tree lacks. Raises ValidationError, OSError.
    """
    tree = read_tree(folder)
    try:
        with transaction.atomic():
            # The second of two imports compares with what the first one did.
            locks.hold("config_tree.import")
            with epoch.single_bump():
                done = _import(tree, actor=actor, reason=reason, delete=delete)
                connection.check_constraints()
            if dry:
                transaction.set_rollback(True)
    except DatabaseError as error:
        raise ValidationError(
            f"Nothing is imported, since the database refused it. {error} If somebody "
            "else changed the configuration at the same time, run it again."
        ) from None
    return done


def _import(tree: Tree, *, actor: PromptActor, reason: str, delete: bool) -> Imported:
    rows = _RowImport(tree.entries, f"By {actor.name}: {reason}")
    done = Imported((), 0, 0, 0)
    rows.load(FIRST)
    if tree.prompts is not None:
        done += load_prompts(tree.prompts, actor=actor, reason=reason)
    if tree.flags is not None:
        by = FlagActor(actor.name, trusted=True)
        done += load_flags(tree.flags, actor=by, reason=reason, delete=delete)
    rows.load(LAST)
    if tree.entries.keys() == SECTIONS.keys():
        seed.mark_first_run()
    return rows.finish(delete=delete) + done


class _RowImport:
    """Compares rows with documents, and saves those that differ."""

    def __init__(self, entries: Mapping[str, Sequence[TreeRow]], message: str) -> None:
        self._entries = entries
        self._message = message
        self._known = KnownRows()
        self._lines: list[str] = []
        self._notes: list[str] = []
        self._same = 0
        # Rows that are not in the tree.
        self._extras: list[tuple[TreeSection, Any, str]] = []

    def load(self, sections: Mapping[str, TreeSection]) -> None:
        """Import those that have a file. Raises ValidationError."""
        for name, section in sections.items():
            if name in self._entries:
                self._load(section, self._entries[name])

    def finish(self, *, delete: bool) -> Imported:
        """Delete what is not in the tree, or say so. Raises ValidationError."""
        # What others refer to comes before them.
        for section, row, name in reversed(self._extras):
            reason = section.unchangeable(row) or section.undeletable(row)
            if delete and not reason:
                self._delete(row, name)
            else:
                stays = f"not in the tree, but {reason}" if reason else NOT_IN_TREE
                self._notes.append(f"= {name}: {stays}")
        created, changed, deleted = (
            sum(line.startswith(mark) for line in self._lines) for mark in "+~-"
        )
        return Imported(self._lines, created, changed, self._same, deleted, self._notes)

    def _load(self, section: TreeSection, entries: Sequence[TreeRow]) -> None:
        held = {
            canonical(section.key(document)): (row, document)
            for row, document in section.rows(lock=True)
        }
        found = []
        for entry in entries:
            key = section.key(entry.document)
            stored = held.pop(canonical(key), None)
            row, before = stored or section.find(entry.document, self._known)
            self._known.add(key, row)
            found.append((entry, row, before))
            ended = "" if stored or before is None else section.unchangeable(row)
            if ended:
                self._notes.append(f"= {section.name(entry.document)}: {ended}")
        errors = []
        for entry, row, before in found:
            try:
                self._write(section, entry.document, row, before)
            except ValidationError as error:
                errors.append(f"{entry.place}: {field_errors(error)}")
        if errors:
            raise ValidationError(errors)
        self._extras += [
            (section, row, section.name(one)) for row, one in held.values()
        ]

    def _write(
        self, section: TreeSection, wanted: Document, row: Any, before: Document | None
    ) -> None:
        name = section.name(wanted)
        if before is None:
            self._record(section.save(row, wanted, self._known), ADDITION, "Added.")
            self._lines.append(f"+ {name}")
            return
        changes = ", ".join(
            f"{field} {_shorten(before[field])} -> {_shorten(value)}"
            for field, value in wanted.items()
            if canonical(before[field]) != canonical(value)
        )
        if reason := section.unchangeable(row):
            self._same += 1
            if changes:
                self._notes.append(f"= {name}: {reason} and stays so: {changes}")
        elif changes:
            more = section.adjust(row, wanted)
            self._record(section.save(row, wanted, self._known), CHANGE, changes)
            self._lines.append(f"~ {name}: {changes}{more and '; '}{more}")
        else:
            self._same += 1

    def _delete(self, row: Any, name: str) -> None:
        self._record(row, DELETION, "Deleted.")
        try:
            row.delete()
        except ProtectedError as error:
            others = sorted(map(str, error.protected_objects))
            raise ValidationError(
                f"The {name} cannot be deleted: {len(others)} rows refer to it, such as "
                f"{others[0]}."
            ) from None
        self._lines.append(f"- {name}")

    def _record(self, row: Any, action: int, what: str) -> None:
        text = f"{self._message} {what}"
        LogEntry.objects.log_actions(self._account.pk, [row], action, text)

    @cached_property
    def _account(self) -> User:
        unusable = {"is_active": False, "password": make_password(None)}
        return User.objects.get_or_create(username=ACCOUNT, defaults=unusable)[0]


def _shorten(value: Any) -> str:
    text = canonical(value)
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 2]} …"
