"""What a migration does to the version that serves meanwhile, and which locks it holds long.

A migration that was looked at and is harmless says why in `safe_because`, an attribute of
its class.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from django.apps import apps
from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
)
from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from valuecanvas.core.models import ConfigModel

LOCKING_SQL = re.compile(
    r"\b(ALTER TABLE|LOCK TABLE|DROP TABLE|CREATE (UNIQUE )?INDEX (?!CONCURRENTLY))",
    re.I,
)
REMOVALS = {
    operations.RemoveField: "removes a column",
    operations.DeleteModel: "removes a table",
    operations.RenameField: "renames a column",
    operations.RenameModel: "renames a table",
    operations.AlterModelTable: "renames a table",
}
IN_USE = "that the running version uses"
LONG = "locks a table that grows with traffic until"


class Risks:
    """Judges migrations in their order. Tables that one of them creates are free for all."""

    def __init__(self, state: ProjectState) -> None:
        """`state` is that before the first of them; it is brought forward."""
        self._state = state
        self._new: set[tuple[str, str]] = set()

    def find(self, migration: Migration) -> list[str]:
        """What is risky in it while the version before serves; empty: nothing."""
        found: list[str] = []
        for operation in migration.operations:
            before = self._state.clone()
            operation.state_forwards(migration.app_label, self._state)
            found += self._judge(migration.app_label, operation, before)
        return [] if getattr(migration, "safe_because", "") else found

    def _judge(
        self, app: str, operation: Operation, before: ProjectState
    ) -> Iterator[str]:
        parts = getattr(operation, "database_operations", [operation])
        for part in parts:
            name = getattr(part, "model_name", "") or getattr(part, "name", "")
            model = (app, str(name).lower())
            if isinstance(part, operations.CreateModel):
                self._new.add(model)
            elif model not in self._new:
                for risk in self._risks(model, part, before):
                    yield f"{name}: {risk}" if name else risk

    def _risks(
        self, model: tuple[str, str], part: Operation, before: ProjectState
    ) -> Iterator[str]:
        if not part.reversible:
            yield "cannot be taken back"
        for kind, text in REMOVALS.items():
            if isinstance(part, kind):
                yield f"{text} {IN_USE}"
        for kind, judge in JUDGES.items():
            if isinstance(part, kind):
                yield from judge(model, part, before)


def _added_field(
    model: tuple[str, str], part: Any, before: ProjectState
) -> Iterator[str]:
    field = part.field
    if isinstance(field, models.ManyToManyField):
        return
    if not field.null and field.db_default is models.NOT_PROVIDED:
        yield f"adds {part.name}, for which the running version inserts no value: set db_default, or null"  # fmt: skip
    yield from _index_risk(model, part.name, field, None)


def _altered_field(
    model: tuple[str, str], part: Any, before: ProjectState
) -> Iterator[str]:
    old, new = before.models[model].fields[part.name], part.field
    if old.null and not new.null:
        yield f"makes {part.name} NOT NULL, which reads the whole table, and the running version may insert NULL"  # fmt: skip
    if old.db_column != new.db_column:
        yield f"renames a column {IN_USE}"
    if not _keeps_type(old, new):
        yield f"changes the type of {part.name}, which rewrites the table"
    yield from _index_risk(model, part.name, new, old)


def _keeps_type(old: Any, new: Any) -> bool:
    """Whether PostgreSQL has nothing to rewrite: the same type, or a longer text."""
    kinds = (old.get_internal_type(), new.get_internal_type())
    if kinds[0] != kinds[1]:
        return kinds == ("CharField", "TextField")
    if getattr(old, "decimal_places", 0) != getattr(new, "decimal_places", 0):
        return False
    sizes = [
        getattr(field, "max_length", None) or getattr(field, "max_digits", None)
        for field in (old, new)
    ]
    return sizes[1] is None or (sizes[0] is not None and sizes[0] <= sizes[1])


def _index_risk(model: tuple[str, str], name: str, new: Any, old: Any) -> Iterator[str]:
    indexed = new.db_index or new.unique
    if indexed and not (old and (old.db_index or old.unique)) and _grows(model):
        yield f"{LONG} {name} is indexed: add the index apart, by AddIndexConcurrently"


def _added_index(
    model: tuple[str, str], part: Any, before: ProjectState
) -> Iterator[str]:
    if not isinstance(part, AddIndexConcurrently) and _grows(model):
        yield f"{LONG} {part.index.name} is built: use AddIndexConcurrently"


def _added_constraint(
    model: tuple[str, str], part: Any, before: ProjectState
) -> Iterator[str]:
    if not isinstance(part, AddConstraintNotValid) and _grows(model):
        yield f"{LONG} {part.constraint.name} is checked: for a CHECK use AddConstraintNotValid, then ValidateConstraint"  # fmt: skip


def _ran_sql(model: tuple[str, str], part: Any, before: ProjectState) -> Iterator[str]:
    if found := LOCKING_SQL.search(str(part.sql)):
        yield f"runs {found[1].upper()} by hand"


def _grows(model: tuple[str, str]) -> bool:
    """Whether traffic adds to its table: all but configuration, which people write."""
    try:
        return not issubclass(apps.get_model(*model), ConfigModel)
    except LookupError:
        return True


Judge = Callable[[tuple[str, str], Any, ProjectState], Iterator[str]]
JUDGES: dict[type[Operation], Judge] = {
    operations.AddField: _added_field,
    operations.AlterField: _altered_field,
    operations.AddIndex: _added_index,
    operations.AddConstraint: _added_constraint,
    operations.RunSQL: _ran_sql,
}
