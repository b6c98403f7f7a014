"""Run everything that `make run` starts, under one supervisor."""

import json
import os
import sysconfig
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from billing.alerts.rules import ensure_rules
from llm.setup import catalogue, seed
from llm.setup.seed import FirstRun
from valuecanvas.embedded import ports
from valuecanvas.embedded.readiness import HttpProbe, reachable, wait_ready
from valuecanvas.embedded.supervisor import Supervisor, commands
from valuecanvas.site.groups import ensure_groups
from valuecanvas.site.schedules import ensure_schedules

WEB = "web"
WORKER = "worker"
LOCAL_MODEL = "local_model"
DEMO_PROVIDER = "demo_provider"


class Command(BaseCommand):
    help = "Run the web server, the worker and the local providers until Ctrl-C."

    def handle(self, **options: Any) -> None:
        self.say("Migrating the database ...")
        call_command("migrate", interactive=False, verbosity=0)
        ensure_groups()
        ensure_schedules()
        ensure_rules()
        first = seed.first_run()
        settings.STATIC_ROOT.mkdir(exist_ok=True)
        if not settings.WHITENOISE_USE_FINDERS:
            call_command("collectstatic", interactive=False, verbosity=0)
        connections.close_all()  # what forks from here must not share them
        try:
            code = self.supervise(first)
        finally:
            self.say("Stopped.")
        if code:
            raise CommandError("A process ended by itself; see above.", returncode=code)

    def supervise(self, first: FirstRun) -> int:
        own = own_ports()
        group = Supervisor(
            optional=frozenset({LOCAL_MODEL}),
            say=self.say,
            started=lambda group: self.announce(group, first, own),
        )
        lines = commands(settings.BASE_DIR / "Procfile", [WEB, WORKER, *own])
        for name, line in lines.items():
            group.add_process(name, line, env=environment(own), cwd=settings.BASE_DIR)
        return group.run()

    def announce(self, group: Supervisor, first: FirstRun, own: dict[str, int]) -> None:
        """Wait until all servers are ready, then print their URLs."""
        web = HttpProbe(WEB, settings.HOST, settings.PORT, "/health/ready")
        local = [HttpProbe(name, "127.0.0.1", own[name], "/v1/models") for name in own]
        ready = False
        for check in (*local, web):
            gone = partial(group.has_ended, check.name)
            ready = wait_ready(check, ending=group.ending, gone=gone, say=self.say)
        if ready:
            local_model = LOCAL_MODEL in own and not group.has_ended(LOCAL_MODEL)
            if LOCAL_MODEL in own and not local_model:
                self.say("Without the local model, the demo provider answers.")
            self.say("\n".join(announcement(first, local_model=local_model)))
        elif first.admin_password:
            self.say("The new login was not shown; `make credentials` issues another.")

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def own_ports() -> dict[str, int]:
    """The ports of the local providers to start, by their name in the Procfile."""
    configured = {
        LOCAL_MODEL: settings.LOCAL_MODEL_URL,
        DEMO_PROVIDER: settings.DEMO_PROVIDER_URL,
    }
    chosen = {
        ports.url(port): port for port in ports.choose_ports(settings.VAR_DIR).values()
    }
    return {name: chosen[url] for name, url in configured.items() if url in chosen}


def environment(own: dict[str, int]) -> dict[str, str]:
    """The environment that the Procfile's lines need for programs and ports."""
    scripts = sysconfig.get_path("scripts")
    return {
        **os.environ,
        **{f"{name.upper()}_PORT": str(port) for name, port in own.items()},
        "HOST": settings.HOST,
        "PORT": str(settings.PORT),
        "PATH": os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        # Celery warns against root; here root is fine.
        "PYTHONWARNINGS": "ignore:You're running the worker",
    }


def announcement(first: FirstRun, *, local_model: bool) -> list[str]:
    """The lines that are printed once everything runs."""
    root = f"http://{reachable(settings.HOST)}:{settings.PORT}"
    lines = [
        "",
        "ValueCanvas is ready.",
        f"Gateway: {root}/v1",
        f"Admin: {root}/admin/",
    ]
    if first.admin_password and first.api_key:
        lines += [
            f"Admin login: {first.admin_name} / {first.admin_password}",
            f"API key: {first.api_key}",
            "Keep both: they are shown only this once.",
        ]
    else:
        lines.append(
            "Lost the login or the API key? `make credentials` issues new ones."
        )
    return [
        *lines,
        "Try it:",
        f"  {curl(root, first.api_key, local_model=local_model)}",
        "Ctrl-C stops it.",
        "",
    ]


def curl(root: str, api_key: str | None, *, local_model: bool) -> str:
    """An example request for a shell."""
    message = {"role": "user", "content": "What is the capital of France?"}
    body = json.dumps({"model": example(local_model), "messages": [message]})
    bearer = f"Authorization: Bearer {api_key or '$VALUECANVAS_KEY'}"
    quote = "'" if api_key else '"'  # the shell replaces $VALUECANVAS_KEY
    return (
        f"curl {root}/v1/chat/completions -H {quote}{bearer}{quote} "
        f"-H 'Content-Type: application/json' -d '{body}'"
    )


def example(local_model: bool) -> str:
    """The name of a seeded model that works with the configured providers."""
    if settings.TOGETHER_API_KEY or settings.OPENAI_API_KEY:
        return catalogue.MODELS[0].name
    return catalogue.LOCAL_MODEL if local_model else catalogue.DEMO_MODEL
