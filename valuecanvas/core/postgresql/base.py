"""The backend itself: Django looks for this module by its name."""

from django.db.backends.postgresql import base

from valuecanvas.core.db import statement_timeout
from valuecanvas.core.postgresql import driver


class DatabaseWrapper(base.DatabaseWrapper):
    """One connection. The statement timeout of its context is set in the server too."""

    Database = driver

    def init_connection_state(self) -> None:
        super().init_connection_state()
        bound = statement_timeout.seconds()
        if bound is not None:
            # Not as a parameter of the connection, which PgBouncer does not pass on.
            self.connection.execute(f"SET statement_timeout = {round(bound * 1000):d}")
