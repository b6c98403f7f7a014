"""Migrations' operations that make the database record each change of a table."""

from collections.abc import Sequence

from django.db.migrations import RunSQL

# Rows that traffic adds by itself are none that somebody made.
_BY_TRAFFIC = """coalesce(current_setting('valuecanvas.audit', true), '') ~ '^$|"kind":"system"'"""


class _Triggers(RunSQL):
    """Makes triggers, and the one that records that the table was emptied."""

    def __init__(self, table: str, kind: str, *triggers: tuple[str, str]) -> None:
        emptied = _trigger(
            "core_audited_emptied", "TRUNCATE", table, "core_audit_emptied", [kind], "STATEMENT"
        )  # fmt: skip
        each = (*triggers, emptied)
        super().__init__(
            "".join(made for made, _ in each), "".join(undone for _, undone in each)
        )


class AuditTable(_Triggers):
    """Attaches the audit's trigger: whoever changes a row, by whatever way, is recorded.

    `kind` is the model's label, `key` the column of its key. `label` are the columns that
    name a row; for the name of a row that one refers to, write column:table:key:name.
    A change of the columns in `left_out` alone is not recorded: those that traffic or a
    schedule writes, and texts that are kept elsewhere. Of a `secret` column it is
    recorded that it changed, and never a value. With `traffic_adds`, rows that the
    gateway itself adds are not recorded.
    """

    def __init__(
        self,
        table: str,
        kind: str,
        *,
        label: Sequence[str],
        key: str = "id",
        left_out: Sequence[str] = (),
        secret: Sequence[str] = (),
        traffic_adds: bool = False,
    ) -> None:
        parts = (kind, key, *map(",".join, (label, left_out, secret)))
        changes = "UPDATE OR DELETE" if traffic_adds else "INSERT OR UPDATE OR DELETE"
        each = [_trigger("core_audited", changes, table, "core_audit_row", parts)]
        if traffic_adds:
            each.append(_trigger(
                "core_audited_new", "INSERT", table, "core_audit_row", parts,
                f"ROW WHEN (NOT {_BY_TRAFFIC})",
            ))  # fmt: skip
        super().__init__(table, kind, *each)


class AuditLinks(_Triggers):
    """The same for the table of a many-to-many field: `field` of `kind` changed.

    `owner` and `value` are columns, written so that their rows are named.
    """

    def __init__(
        self, table: str, kind: str, *, field: str, owner: str, value: str
    ) -> None:
        parts = (kind, field, owner.partition(":")[0], owner, value)
        changes = "INSERT OR UPDATE OR DELETE"
        made = _trigger("core_audited", changes, table, "core_audit_link", parts)
        super().__init__(table, kind, made)


def _trigger(
    name: str,
    changes: str,
    table: str,
    function: str,
    parts: Sequence[str],
    each: str = "ROW",
) -> tuple[str, str]:
    """The SQL that makes a trigger, and that drops it."""
    values = ", ".join(f"'{part}'" for part in parts)
    made = (
        f'CREATE TRIGGER {name} AFTER {changes} ON "{table}" '
        f"FOR EACH {each} EXECUTE FUNCTION {function}({values});"
    )
    return made, f'DROP TRIGGER {name} ON "{table}";'
