"""A migration's operation that indexes a partitioned table while it is in use."""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently

_WITHOUT = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = %s::regclass AND NOT EXISTS (
    SELECT FROM pg_inherits x JOIN pg_index y ON y.indexrelid = x.inhrelid
    WHERE x.inhparent = to_regclass(%s) AND y.indrelid = c.oid)
ORDER BY 1
"""


class AddIndexToPartitions(AddIndexConcurrently):
    """Builds the index on each partition without blocking writers, then joins them.

    PostgreSQL has no CREATE INDEX CONCURRENTLY for a partitioned table: see "Index
    Maintenance" in its chapter on table partitioning. After a crash it can run again. The
    migration must have `atomic = False`.
    """

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Raises NotSupportedError inside a transaction."""
        self._ensure_not_in_transaction(schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        table, index = model._meta.db_table, self.index
        create = str(index.create_sql(model, schema_editor))
        named, on = f'CREATE INDEX "{index.name}"', f'ON "{table}"'
        schema_editor.execute(
            create.replace(named, f'CREATE INDEX IF NOT EXISTS "{index.name}"', 1)
            .replace(on, f'ON ONLY "{table}"', 1)
        )  # fmt: skip
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(_WITHOUT, [table, index.name])
            parts = [name for (name,) in cursor.fetchall()]
        for part in parts:
            own = f"{part}_{index.name.removeprefix(f'{table}_')}"
            # Left by a crash, it may be unfit.
            schema_editor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{own}"')
            schema_editor.execute(
                create.replace(named, f'CREATE INDEX CONCURRENTLY "{own}"', 1)
                .replace(on, f'ON "{part}"', 1), params=None
            )  # fmt: skip
            schema_editor.execute(
                f'ALTER INDEX "{index.name}" ATTACH PARTITION "{own}"'
            )

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Drop the index and its parts: PostgreSQL cannot do it without a short lock."""
        self._ensure_not_in_transaction(schema_editor)
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.execute(f'DROP INDEX IF EXISTS "{self.index.name}"')
