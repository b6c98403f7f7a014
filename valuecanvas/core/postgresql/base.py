"""The backend itself: Django looks for this module by its name."""

import re
from collections.abc import Callable
from typing import Any

from django.db.backends.postgresql import base

from valuecanvas.core.audit import audit_context
from valuecanvas.core.db import statement_timeout
from valuecanvas.core.postgresql import driver

# Statements that change no row. Whatever begins otherwise may: a comment, COPY, DO, WITH.
_READ = re.compile(r"\s*(?:SELECT|SET|SAVEPOINT|RELEASE|ROLLBACK|EXPLAIN)\b", re.I)
_TELL = "SELECT set_config(%s, %s, false)"
_UNKNOWN = "?"


class DatabaseWrapper(base.DatabaseWrapper):
    """One connection. The statement timeout of its context is set in the server too.

    Before a statement that may write, the audit's triggers are told who acts, unless they
    were told so before.
    """

    Database = driver

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._actor = ""
        self.execute_wrappers.append(self._tell_actor)

    def init_connection_state(self) -> None:
        super().init_connection_state()
        self._actor = ""
        bound = statement_timeout.seconds()
        if bound is not None:
            # Not as a parameter of the connection, which PgBouncer does not pass on.
            self.connection.execute(f"SET statement_timeout = {round(bound * 1000):d}")

    def _tell_actor(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, more: Any
    ) -> Any:
        if not isinstance(sql, str) or not _READ.match(sql):
            actor = audit_context.dump()
            if actor != self._actor:
                with self.wrap_database_errors:
                    self.connection.execute(_TELL, (audit_context.SETTING, actor))
                self._actor = actor
        return execute(sql, params, many, more)

    def rollback(self) -> None:
        self._actor = _UNKNOWN  # a rollback also undoes the setting
        super().rollback()

    def savepoint_rollback(self, sid: str) -> None:
        self._actor = _UNKNOWN
        super().savepoint_rollback(sid)
