"""S27: what anybody may ask names no software, version, host or file of the machine."""

import getpass
import platform
import re
import socket
from importlib.metadata import version

import pytest
from django.conf import settings
from django.db import connection

from tests.live.world import World

pytestmark = pytest.mark.live

OPEN = [
    "/", "/health/live", "/health/ready", "/api/llm/health", "/metrics", "/api/docs", "/api/redoc",
    "/api/schema", "/admin/login/", "/admin/", "/usage", "/v1/models", "/v1/nothing", "/nothing",
    "/api/nothing", "/static/nothing", "/favicon.ico", "/.env", "/admin/%00", "/v1/models/..%2f",
]  # fmt: skip
PACKAGES = ("django", "uvicorn", "aiohttp", "djangorestframework", "psycopg", "redis")
# A request from outside comes through a proxy.
OUTSIDE = {"x-forwarded-for": "203.0.113.9"}


def forbidden() -> list[str]:
    """Texts that no anonymous answer may have."""
    with connection.cursor() as cursor:
        cursor.execute("show server_version")
        [postgres] = cursor.fetchone()
    found = [f"/{version(one)}" for one in PACKAGES]
    found += [f"{one} {version(one)}" for one in PACKAGES]
    found += [f"Python/{platform.python_version()}", f"PostgreSQL {postgres}"]
    return [*found, str(settings.BASE_DIR), socket.getfqdn(), f"/home/{getpass.getuser()}"]  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize("path", OPEN)
def test_answer__to_anybody__names_no_software_and_no_host(
    world: World, path: str, method: str
) -> None:
    answer = world.request(path, method=method, key="", **OUTSIDE)
    assert answer.status < 500
    text = f"{answer.headers}\n{answer.body.decode(errors='replace')}".lower()
    hidden = world.db(forbidden)
    assert [one for one in hidden if len(one) > 4 and one.lower() in text] == []
    for name in ("server", "x-powered-by"):
        assert not re.search(r"\d", answer.headers.get(name, ""))
    assert "traceback (most" not in text


def test_metrics_and_health__of_anybody_outside__are_the_status_alone(
    world: World,
) -> None:
    assert world.request("/metrics", key="", **OUTSIDE).status == 403
    assert [*world.request("/api/llm/health", key="", **OUTSIDE).json] == ["status"]
    assert world.request("/health/live", key="", **OUTSIDE).json == {"status": "ok"}
