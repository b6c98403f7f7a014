"""`manage.py upgrade`: brings a running installation's database to this version."""

import os
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from billing.alerts.rules import ensure_rules
from valuecanvas.backups import history, runs
from valuecanvas.backups.errors import BackupError
from valuecanvas.core.audit.record import record
from valuecanvas.core.db import locks
from valuecanvas.site.groups import ensure_groups
from valuecanvas.site.schedules import ensure_schedules
from valuecanvas.upgrade import pending
from valuecanvas.upgrade.pending import Pending, UpgradeError

NEXT = """Now restart, in this order:
  1. workers, 2. beat,
  3. web processes one by one: SIGTERM, start the new one, wait until its /health/ready
     answers 200, then the next one."""


class Command(BaseCommand):
    help = (
        "Bring the database to this version while the version before serves: check, back "
        "up, migrate, update groups and schedules, collect static files. It restarts nothing; its "
        "last lines say what to restart. Run it again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="Only show what would be migrated."
        )
        parser.add_argument(
            "--no-backup", action="store_true", help="Migrate without a fresh backup."
        )
        parser.add_argument(
            "--stopped",
            action="store_true",
            help="All other processes are stopped: apply risky migrations too.",
        )

    def handle(self, *args: Any, **options: Any) -> str:
        try:
            return self._run(**options)
        except (UpgradeError, BackupError) as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"PostgreSQL: {error}") from error
        except RedisError as error:
            raise CommandError(
                f"Redis at REDIS_URL does not answer: {error}"
            ) from error

    def _run(self, **options: Any) -> str:
        self.check(include_deployment_checks=settings.PRODUCTION)
        get_redis_connection("default").ping()
        if options["dry_run"]:
            self._show(pending.find())
            return "Nothing was changed."
        # Another one may run: then nothing is left to do once it has ended.
        with locks.session_lock("upgrade"):
            found = pending.find()
            self._show(found)
            _refuse_risks(found, stopped=options["stopped"])
            if found and not options["no_backup"] and not pending.is_empty():
                self._back_up(found)
            pending.apply(found, self.stdout.write)
            changed = {
                "Groups": ensure_groups(),
                "Schedules": ensure_schedules(),
                "Alert rules": ensure_rules(),
            }
        for what, names in changed.items():
            self.stdout.write(f"{what}: {', '.join(names) or 'nothing to change'}")
        self._collect_static()
        record("upgrade.done", detail={"migrations": [one.name for one in found]})
        return NEXT

    def _show(self, found: Sequence[Pending]) -> None:
        if not found:
            self.stdout.write("No migration is pending.")
        for one in found:
            text = "; ".join(one.risks) or "safe while the version before serves"
            self.stdout.write(f"{one.name}: {text}")

    def _back_up(self, found: Sequence[Pending]) -> None:
        if any(one.migration.app_label == "backups" for one in found):
            raise UpgradeError(
                "This version changes the history of backups: make a backup with the version "
                "that runs, then add --no-backup."
            )
        status = history.status()
        if not status.ok:
            self.stdout.write(f"Backup: {status.text}; making one ...")
            runs.make(runs.begin("upgrade"))
        self.stdout.write(f"Backup: {history.status().text}")

    def _collect_static(self) -> None:
        """An image brings its static files, and cannot be written."""
        root = settings.STATIC_ROOT
        place = root if root.exists() else root.parent
        if not settings.WHITENOISE_USE_FINDERS and os.access(place, os.W_OK):
            call_command("collectstatic", interactive=False, verbosity=0)
            self.stdout.write(f"Static files: {root}")


def _refuse_risks(found: Sequence[Pending], *, stopped: bool) -> None:
    risky = [one.name for one in found if one.risks]
    if risky and not stopped:
        raise UpgradeError(
            f"Not safe while the version before serves: {', '.join(risky)}. Stop web, "
            "workers and beat, then run it again with --stopped."
        )
