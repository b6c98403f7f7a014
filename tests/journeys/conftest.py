"""One installation in production mode for each persona: gateway, worker, provider."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections

from tests.browser.conftest import browser, context
from tests.core.settings_process import SAFE
from tests.demo_process import DemoProcess
from tests.faults.workers import WorkerProcess
from tests.fixtures_billing import unique
from tests.live.conftest import server_env, transactional_db
from tests.live.server import LiveServer, live_server
from tests.live.world import World
from valuecanvas.backups import encryption

__all__ = ["browser", "context", "server_env", "transactional_db"]


class Commands:
    """The process of tests/journeys/commands.py; started with the first command."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.process: subprocess.Popen[str] | None = None

    def run(self, arguments: tuple[str, ...]) -> tuple[int, str]:
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.journeys.commands"],
                cwd=settings.BASE_DIR,
                env={**os.environ, **self.env},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps(arguments), file=self.process.stdin, flush=True)
        code, printed = json.loads(self.process.stdout.readline())
        return code, printed

    def close(self) -> None:
        if self.process is not None:
            self.process.communicate()


@dataclass
class Stack:
    """The processes of an installation, and a customer with a key."""

    server: LiveServer
    world: World
    folder: Path
    env: dict[str, str] = field(repr=False)
    commands: "Commands"

    def manage(self, *arguments: str, **env: str) -> str:
        """What a command printed. Raises AssertionError where it failed."""
        code, printed = self.run(*arguments, **env)
        assert code == 0, printed
        return printed

    def run(self, *arguments: str, **env: str) -> tuple[int, str]:
        """Its exit code and what it printed; with `env`, in a process of its own."""
        if not env:
            return self.commands.run(arguments)
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=settings.BASE_DIR,
            env={**os.environ, **self.env, **env},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr


def production_env(server_env: dict[str, str], folder: Path) -> dict[str, str]:
    """Production's settings; the keys are the tests' own, which so can make API keys."""
    keys = ("SECRET_KEY", "KEY_PEPPER", "FIELD_KEY")
    return {
        **server_env,
        **{name: getattr(settings, name) for name in keys},
        "DJANGO_SETTINGS_MODULE": "tests.journeys.production_settings",
        "VALUECANVAS_ENV": SAFE["VALUECANVAS_ENV"],
        "ALLOWED_HOSTS": "127.0.0.1",
        "VALUECANVAS_VAR": str(folder / "var"),
        "LLM_ALLOW_HTTP_PROVIDERS": "on",
        # What stands before it in production speaks HTTPS.
        "HTTPS_REDIRECT": "off",
        "CHAOS_ENABLED": "on",
        "JWT_SECRET": "",
        "JWT_ISSUER": "",
        "UPGRADE_URL": "https://example.com/upgrade",
        "BACKUP_KEY": encryption.new_key(),
        "BACKUP_DIR": str(folder / "backups"),
        "BACKUP_WORK_DIR": str(folder / "work"),
        "REDIS_PREFIX": unique("journey"),
    }


@pytest.fixture(scope="module")
def stack(
    transactional_db: None,
    server_env: dict[str, str],
    demo_provider: DemoProcess,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("journey")
    env = production_env(server_env, folder)
    with ExitStack() as opened:
        server = opened.enter_context(live_server(folder, env))
        world = World(demo_provider, server.port, server.log_path)
        opened.enter_context(closing(world))
        worker = WorkerProcess(folder, env, "a", beat=True, application="valuecanvas")
        opened.callback(worker.stop)
        worker.start()
        commands = opened.enter_context(closing(Commands(env)))
        yield Stack(server, world, folder, env, commands)
        connections.close_all()
