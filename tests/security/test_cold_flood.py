"""S25: a flood of the cold path leaves paid calls, memory and signed-in operators alone.

The times are printed, and compared in docs/SECURITY.md: on a machine that runs other
tests too, they say little.
"""

import asyncio
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import orjson
import psutil
import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User

from tests.faults.counts import FULL, either
from tests.faults.traffic import Client, Row, arrivals
from tests.live.server import LiveServer, live_server
from tests.live.world import World, unique
from valuecanvas.core.access.session_store import SessionStore

pytestmark = pytest.mark.live

VISITORS, WRITERS, READERS, SCRAPERS = either(60, 300), either(20, 100), either(20, 100), 4  # fmt: skip
WINDOWS = either(1, 5)
ASKED = either(40, 400)
RATE = 40.0
# The machine may be busy with other tests.
PATIENT = {
    "LLM_ADMIT_TIMEOUT_S": "60",
    "LLM_CONNECT_TIMEOUT_S": "60",
    "LLM_POOL_TIMEOUT_S": "60",
}
# What is loaded or made once is no growth.
WARM = ["/admin/", "/admin/login/?next=/", "/api/schema", "/metrics"]
MOST_GROWTH = 64 * 1024 * 1024


@pytest.fixture
def attacked(server_env: dict[str, str], tmp_path: Path) -> Iterator[LiveServer]:
    env = {**server_env, "LLM_HEADER_TIMEOUT_S": "10", "ACCESS_LOG": "off"}
    env["METRICS_NETWORKS"] = "127.0.0.0/8"
    if not FULL:
        env |= PATIENT
    with live_server(tmp_path, env) as running:
        yield running


class Flood:
    """The attack under way; `answers` is complete once it has ended."""

    def __init__(self) -> None:
        self.answers: dict[str, int] = {}


@contextmanager
def flood(port: int) -> Iterator[Flood]:
    counts = map(str, (port, VISITORS, WRITERS, READERS, SCRAPERS))
    found = Flood()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.security.flood", *counts],
        cwd=settings.BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        yield found
        found.answers = orjson.loads(process.communicate()[0])


def signed_in() -> str:
    """The cookie of an operator."""
    user = User.objects.create_superuser(unique("boss"), password="pw")
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.cycle_key()
    session.save()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


async def paid(world: World, client: Client, model: str) -> list[Row]:
    """One window of paid calls."""
    ask = partial(client.chat, world.url, world.key, model)
    texts = [unique("Say") for _ in range(ASKED)]
    return await arrivals([partial(ask, text=text) for text in texts], RATE)


def p99(rows: list[Row]) -> float:
    return sorted(row.took for row in rows)[int(0.99 * (len(rows) - 1))]


async def test_flood__of_all_cold_doors__leaves_paid_calls_alone(
    world: World, attacked: LiveServer
) -> None:
    world.port = attacked.port
    world.db(lambda: type(world.tier).objects.update(daily_requests=1_000_000))
    model = world.serve("ok-12").model
    cookie = world.db(signed_in)
    process = psutil.Process(attacked.process.pid)
    ratios, growth, pages, answers = [], [0], [], []
    async with Client() as client:
        await paid(world, client, model)
        for path in WARM:
            world.request(path, key="", cookie=cookie)
        before = process.memory_info().rss
        for _ in range(WINDOWS):
            calm = await paid(world, client, model)
            with flood(attacked.port) as under_way:
                await asyncio.sleep(2)
                under = await paid(world, client, model)
                page = partial(world.request, "/admin/", key="", cookie=cookie)
                pages.append((await asyncio.to_thread(page)).status)
                stranger = partial(world.request, "/admin/login/", key="")
                pages.append((await asyncio.to_thread(stranger)).status)
                growth.append(process.memory_info().rss - before)
            ratios.append(p99(under) / p99(calm))
            answers.append(under_way.answers)
            sys.stdout.write(
                f"\np99 {p99(calm):.4f} -> {p99(under):.4f} s, +{growth[-1] >> 20} MiB"
            )
    sys.stdout.write(f"\nratio {statistics.median(ratios):.2f} of {ratios}; {answers}")
    assert {row.status for row in client.rows} == {200}
    assert all(row.whole for row in client.rows)
    assert set(pages) == {200}
    assert max(growth) < MOST_GROWTH
    assert all(sum(one.values()) > VISITORS for one in answers)
    # And all is over.
    assert world.request("/admin/login/", key="").status == 200
    assert world.request("/health/ready", key="").status == 200
