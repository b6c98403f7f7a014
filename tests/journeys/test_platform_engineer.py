"""A platform engineer: commands and HTTP, from the upgrade to the last backup."""

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import openai
import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connections
from psycopg import sql

from tests.faults.counts import FULL
from tests.fixtures_billing import make_tier, unique
from tests.journeys.conftest import Stack
from tests.live.server import live_server
from tests.live.world import request_id

pytestmark = pytest.mark.live
SLOW = "It takes minutes; FAULTS=full runs it, and T31 and the drills try its parts."


def key_of(printed: str) -> str:
    [found] = [word for word in printed.split() if word.startswith("vc-")]
    return found


def test_first_day__upgrade_seed_credentials_key__end_in_an_answer(
    stack: Stack,
) -> None:
    stack.manage("upgrade")
    stack.manage("seed")
    printed = stack.manage("credentials")
    assert "Admin login: " in printed
    world, served = stack.world, stack.world.serve("ok")
    assert world.chat(served.model, key=key_of(printed)).status == 200
    tier = world.db(make_tier)
    user = unique("service")
    issued = key_of(stack.manage("issue_key", "--user", user, "--tier", tier.key))
    assert world.chat(served.model, key=issued).status == 200
    rotated = key_of(stack.manage("rotate_key", issued[3:15]))
    keys = {one: world.chat(served.model, key=one).status for one in (issued, rotated)}
    assert [*keys.values()] == [200, 200]
    stack.manage("revoke_key", rotated[3:15])
    with world.sdk(rotated) as client, pytest.raises(openai.AuthenticationError):
        client.models.list()


def test_watch__probes_and_metrics__tell_of_the_last_request(stack: Stack) -> None:
    world, served = stack.world, stack.world.serve("ok")
    assert stack.server.status("/health/live") == 200
    assert stack.server.status("/health/ready") == 200
    assert world.chat(served.model).status == 200
    counted = [line for line in world.metrics().splitlines() if served.model in line]
    assert any(line.endswith(" 1.0") and "requests" in line for line in counted)
    stack.manage("reconcile")


def test_configuration__exported_changed_and_compared__the_difference_is_named(
    stack: Stack,
) -> None:
    tier = stack.world.db(make_tier, daily_requests=7)
    tree = str(stack.folder / "tree")
    stack.manage("export_config", tree)
    dry = ("import_config", tree, "--dry-run", "--exit-code")
    code, printed = stack.run(*dry)
    assert code == 0, printed
    tier.daily_requests = 8
    stack.world.db(tier.save)
    code, printed = stack.run(*dry)
    assert code not in (0, 1), printed
    assert tier.key in printed
    assert "daily_requests" in printed
    stack.manage("import_config", tree)
    stack.world.db(tier.refresh_from_db)
    assert tier.daily_requests == 7


@contextmanager
def other_database(url: str) -> Iterator[str]:
    """An empty database beside that of `url`."""
    name = unique("copy").replace("-", "_")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield f"{url.rpartition('/')[0]}/{name}"
        connection.execute(
            sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        )


@pytest.mark.skipif(not FULL, reason=SLOW)
def test_backup__made_verified_and_restored_elsewhere__has_the_ledger(
    stack: Stack,
) -> None:
    world, served = stack.world, stack.world.serve("ok")
    answer = world.chat(served.model)
    world.usage(request_id(answer))
    [name] = re.findall(r"^(\S+): .* verified$", stack.manage("backup"), re.MULTILINE)
    assert name in stack.manage("list_backups")
    stack.manage("verify_backup", name)
    with other_database(stack.env["DATABASE_URL"]) as url:
        stack.manage("restore", name, "--replace", DATABASE_URL=url)
        with psycopg.connect(url) as copy:
            found = copy.execute(
                "SELECT cost_usd FROM llm_usage WHERE id = %s", [request_id(answer)]
            )
            [cost] = found.fetchone() or [None]
    assert float(answer.headers["x-valuecanvas-cost-usd"]) == float(cost)


@dataclass
class LightLoad:
    """A caller behind a balancer: it asks the first gateway that says it is ready."""

    stack: Stack
    ports: list[int]
    model: str
    statuses: list[int] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        world = self.stack.world
        while not self.over.is_set():
            for world.port in self.ports:
                if world.request("/health/ready", key="").status == 200:
                    break
            self.statuses.append(world.chat(self.model).status)
            self.used.add(world.port)


def test_sigterm__of_one_gateway_of_two__fails_no_request(
    stack: Stack, tmp_path: Path
) -> None:
    world, served, staying = stack.world, stack.world.serve("ok"), stack.world.port
    env = {**stack.env, "SHUTDOWN_GRACE_S": "2", "VALUECANVAS_VAR": str(tmp_path)}
    with live_server(tmp_path, env) as leaving:
        load = LightLoad(stack, [leaving.port, staying], served.model)
        thread = threading.Thread(target=load.run)
        thread.start()
        while len(load.statuses) < 5:
            assert thread.is_alive()
        leaving.process.send_signal(signal.SIGTERM)
        while staying not in load.used:
            assert thread.is_alive()
        load.over.set()
        thread.join()
        assert leaving.process.wait(60) in (0, -signal.SIGTERM)
    world.port = staying
    assert set(load.statuses) == {200}
    assert load.used == {leaving.port, staying}


@pytest.mark.skipif(not FULL, reason=SLOW)
def test_drill__redis_taken_away__passes(stack: Stack) -> None:
    world = stack.world
    world.db(User.objects.create_superuser, "root", "root@example.com", "x")
    served = world.serve("drip@30ms", "drip@30ms", first_token_s=1, between_tokens_s=5)
    stack.manage("chaos", "open", "--hours", "1", "--reason", "Rehearsal")
    printed = stack.manage(
        "drill", "redis-down", "--as", "root", "--yes", "--model", served.model,
        DRILL_URL=stack.server.url,
    )  # fmt: skip
    connections.close_all()
    assert "passed" in printed
