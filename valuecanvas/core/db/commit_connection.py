"""The connection of a group commit: opened when needed, kept while it works."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Generic, TypeVar

import psycopg

from valuecanvas.core.db import sqlstate
from valuecanvas.core.db.commit_policy import Policy
from valuecanvas.core.postgresql.session_end import has_ended

Item = TypeVar("Item")


class Unreached(psycopg.OperationalError):
    """There is no connection: nothing of the batch can have been committed."""


class CommitConnection(Generic[Item]):
    """Belongs to the thread of a group commit."""

    def __init__(self, policy: Policy[Item]) -> None:
        self._policy = policy
        self._connection: psycopg.Connection | None = None

    def work(self, items: Sequence[Item]) -> Sequence[object]:
        """The answers to `items`, committed together. Raises Unreached and others."""
        connection = self._open()
        try:
            return self._policy.work(connection, items)
        except BaseException as error:
            # After any error the transaction is open and holds locks.
            if not self._roll_back(error):
                self.close()
            raise

    def takes_writes(self) -> bool:
        """Whether the database accepts a write now."""
        try:
            self._policy.probe(self._open())
        except psycopg.Error:
            self.close()
            return False
        return True

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> psycopg.Connection:
        if self._connection is not None and has_ended(self._connection):
            self.close()
        if self._connection is None:
            try:
                self._connection = self._policy.connect()
            except Exception as error:
                raise Unreached(str(error)) from error
        return self._connection

    def _roll_back(self, error: BaseException) -> bool:
        """Roll back after an error of a row. Returns whether the connection can be used on."""
        if self._connection is None or not isinstance(error, Exception):
            return False
        with suppress(Exception):
            if sqlstate.row_at_fault(error) and not self._connection.closed:
                self._connection.rollback()
                return True
        return False
