"""The gateway as in tests/live: one process for the session, a customer for each test."""

from tests.fixtures_store import server as redis_server
from tests.live.conftest import (
    gateway,
    indoors,
    server,
    server_env,
    settled,
    transactional_db,
    world,
)

# The run's Valkey, asked directly, under a name of its own: `server` is the gateway.
__all__ = [
    "gateway",
    "indoors",
    "redis_server",
    "server",
    "server_env",
    "settled",
    "transactional_db",
    "world",
]
