"""The backend itself: Django looks for this module by its name."""

from typing import Any

from django.db.backends.postgresql import base

from valuecanvas.core.db import statement_timeout
from valuecanvas.core.postgresql import driver


class DatabaseWrapper(base.DatabaseWrapper):
    """One connection. The statement timeout of its context is set in the server too."""

    Database = driver

    def get_connection_params(self) -> dict[str, Any]:
        found: dict[str, Any] = super().get_connection_params()
        bound = statement_timeout.seconds()
        if bound is not None:
            options = found.get("options", "")
            limit = f"-c statement_timeout={round(bound * 1000)}"
            found["options"] = f"{options} {limit}".strip()
        return found
