"""Drills against a gateway in production mode on the embedded engines, with two workers."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from django.utils import timezone

from billing.models import ApiKey
from flags.models import Flag
from llm.chaos import chaos_runs
from llm.chaos.drills import DRILLS
from llm.jobs.metrics import live_workers
from tests.core.settings_process import SAFE
from tests.demo_process import DemoProcess
from tests.faults.counts import either
from tests.faults.workers import WorkerProcess
from tests.fixtures_billing import unique
from tests.live.server import LiveServer, live_server
from tests.live.world import World
from valuecanvas.site.schedules import ensure_schedules

pytestmark = pytest.mark.live


@dataclass
class Production:
    """The processes of an installation, and a model with two providers."""

    server: LiveServer
    env: dict[str, str]
    folder: Path
    workers: list[WorkerProcess]
    # One whose streams, and one whose jobs, are under way for seconds.
    model: str
    model_of_jobs: str

    @property
    def logs(self) -> str:
        """What its processes wrote last."""
        logs = [self.server.log, *(one.log for one in self.workers)]
        return "\n".join(log[-4000:] for log in logs)

    def manage(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=settings.BASE_DIR,
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
        )

    def drill(self, name: str) -> tuple[int, dict[str, Any], str]:
        """Its exit code, its report, and all that it printed."""
        path = self.folder / "report.json"
        path.unlink(missing_ok=True)
        model = self.model_of_jobs if DRILLS[name].needs_workers else self.model
        done = self.manage(
            "drill", name, "--as", "root", "--yes", "--report", str(path),
            "--model", model,
        )  # fmt: skip
        report = json.loads(path.read_text()) if path.exists() else {}
        return done.returncode, report, done.stdout + done.stderr


@pytest.fixture(scope="module")
def production(
    transactional_db: None,
    server_env: dict[str, str],
    demo_provider: DemoProcess,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Production]:
    folder = tmp_path_factory.mktemp("drills")
    secrets = ("VALUECANVAS_ENV", "SECRET_KEY", "KEY_PEPPER", "FIELD_KEY")
    env = {
        **server_env,
        **{name: SAFE[name] for name in secrets},
        "ALLOWED_HOSTS": "127.0.0.1",
        "VALUECANVAS_VAR": str(folder / "var"),
        "JWT_SECRET": "",
        "JWT_ISSUER": "",
        "LLM_ALLOW_HTTP_PROVIDERS": "on",
        "CHAOS_ENABLED": "on",
        "BREAKER_OPEN_S": "2",
        "REDIS_TIMEOUT_MS": "400",
        "REDIS_PREFIX": unique("drills"),
        "JOBS_LEASE_S": "5",
    }
    with ExitStack() as stack:
        server = stack.enter_context(live_server(folder, env))
        world = stack.enter_context(closing(World(demo_provider)))
        world.db(User.objects.create_superuser, "root", "root@example.com", "x")
        # As every installation has them; migrations alone don't make them all.
        world.db(ensure_schedules)
        names = [
            world.serve(slow, slow, first_token_s=wait, between_tokens_s=5).model
            for slow, wait in (("drip@30ms", 1), ("slow@3s", 10))
        ]
        env["DRILL_URL"] = server.url
        workers = [
            WorkerProcess(folder, env, name, True, "valuecanvas") for name in "ab"
        ]
        made = Production(server, env, folder, workers, *names)
        opened = made.manage("chaos", "open", "--hours", "1", "--reason", "Drills")
        assert opened.returncode == 0, opened.stderr
        for worker in workers:
            stack.callback(worker.stop)
            worker.start()
        world.eventually(lambda: len(live_workers(timezone.now())) == 2)
        yield made
        # A drill ended this session.
        connections.close_all()


# The others are their twins; each takes half a minute.
SHORT = ["primary-down", "redis-down", "database-restart", "worker-killed"]


@pytest.mark.parametrize("name", either(SHORT, [*DRILLS]))
def test_drill__production_is_healthy__passes(
    production: Production, name: str
) -> None:
    code, report, printed = production.drill(name)
    assert code == 0, printed + production.logs
    assert report["verdict"] == "passed"


def test_drill__failover_is_switched_off__fails_and_names_the_flag(
    production: Production,
) -> None:
    connections.close_all()
    flag, made = Flag.objects.get_or_create(name="gateway.fallback")
    flag.in_gateway, flag.everyone, flag.percent = True, None, Decimal(100)
    flag.user_ids, flag.target_variant = ["chaos-drill"], "off"
    flag.save()
    code, report, printed = production.drill("primary-down")
    flag.user_ids = []
    flag.save()
    assert code == 1, printed
    [row] = [one for one in report["findings"] if "another provider" in one["expected"]]
    assert not row["holds"]
    assert "'gateway.fallback' is off" in row["seen"]
    assert "'gateway.fallback' is off" in printed


def test_drill__stopped_meanwhile__ends_without_a_verdict(
    production: Production,
) -> None:
    connections.close_all()
    done: list[tuple[int, dict[str, Any], str]] = []
    drill = threading.Thread(target=lambda: done.append(production.drill("redis-down")))
    drill.start()
    while not (stopped := chaos_runs.stop_all(by=None, reason="A test.")):
        assert drill.is_alive(), done
        time.sleep(0.1)
    drill.join()
    assert stopped == 1
    [(code, report, printed)] = done
    assert (code, report["state"], report["verdict"]) == (2, "stopped", ""), printed
    assert not ApiKey.objects.filter(name="Drill redis-down", revoked_at=None).exists()
