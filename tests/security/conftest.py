"""The gateway as in tests/live: one process for the session, a customer for each test."""

from tests.live.conftest import (
    gateway,
    indoors,
    server,
    server_env,
    transactional_db,
    world,
)

__all__ = ["gateway", "indoors", "server", "server_env", "transactional_db", "world"]
