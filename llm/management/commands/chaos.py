"""`manage.py chaos`: lists, starts and stops experiments, and opens production's windows."""

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from django.utils import timezone

from llm.chaos import chaos_runs, chaos_schedules, chaos_windows
from llm.models import ChaosExperiment, ChaosRun
from llm.models.chaos import ACTIVE
from valuecanvas.core.audit import audit_context
from valuecanvas.core.db.statement_timeout import limit_statements

STOP_S = 5.0
RUNS_ACTIVE = 3


class Command(BaseCommand):
    help = (
        "Chaos experiments: list, start and stop them, open and close the windows in which "
        f"production allows them. `status` exits with {RUNS_ACTIVE} while a run is active."
    )
    # It must also stop faults while the database is down.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
        acts.add_parser("list", help="All experiments, with their last runs.")
        acts.add_parser("status", help="Whether experiments may run, and what runs.")
        start = acts.add_parser("start", help="Start an experiment.")
        start.add_argument("name", metavar="NAME", help="The experiment.")
        start.add_argument("--as", dest="user", required=True, metavar="USER", help="The superuser who answers for it.")  # fmt: skip
        stop = acts.add_parser("stop", help="Stop a run, or all of them.")
        which = stop.add_mutually_exclusive_group(required=True)
        which.add_argument(
            "name", nargs="?", metavar="NAME", help="The run's experiment."
        )
        which.add_argument("--all", action="store_true", help="Drills too.")
        window = acts.add_parser("open", help="Open a window of production.")
        window.add_argument("--hours", type=float, required=True, help="At most 24.")
        window.add_argument("--reason", required=True, help="Why; kept in the audit.")
        acts.add_parser("close", help="Close every window now.")
        for one in (start, stop):
            one.add_argument("--reason", default="", help="Why; kept in the audit.")

    def handle(self, *args: Any, **options: Any) -> None:
        act = options["act"]
        audit_context.explain(options.get("reason") or "")
        getattr(self, f"_{act}")(options)

    def _list(self, options: dict[str, Any]) -> None:
        rows = list(ChaosExperiment.objects.select_related("crontab"))
        width = max((len(one.name) for one in rows), default=0)
        for one in rows:
            last = chaos_schedules.last_run(one)
            told = f"{last.get_state_display()}, {last.started_at:%Y-%m-%d %H:%M}" if last else "never run"  # fmt: skip
            halted = "; its schedule is halted: start it by hand" if chaos_schedules.is_halted(one, last) else ""  # fmt: skip
            self.stdout.write(f"{one.name:<{width}}  {one.fault:<10}  {told}{halted}")
        if not rows:
            self.stdout.write("There is no experiment: add one in the admin.")

    def _status(self, options: dict[str, Any]) -> None:
        why = chaos_windows.why_forbidden()
        self.stdout.write(why or "Experiments may run now.")
        if until := chaos_windows.open_until():
            self.stdout.write(f"A window is open until {until:%Y-%m-%d %H:%M} UTC.")
        found = chaos_runs.active()
        for one in found:
            left = max(0, (one.ends_at - timezone.now()).total_seconds())
            self.stdout.write(
                f"{one.name}: {one.get_state_display()}, since {one.started_at:%H:%M:%S} "
                f"UTC, {left:.0f} s left, {one.injected:,} faults"
            )
        if found:
            sys.exit(RUNS_ACTIVE)
        self.stdout.write("No run is active.")

    def _start(self, options: dict[str, Any]) -> None:
        name, user = options["name"], options["user"]
        experiment = ChaosExperiment.objects.filter(name=name).first()
        if experiment is None:
            raise CommandError(f"There is no experiment '{name}': see `chaos list`.")
        by = User.objects.filter(username=user).first()
        if by is None:
            raise CommandError(f"There is no user '{user}'.")
        try:
            run = chaos_runs.start(experiment, by=by, reason=options["reason"])
        except chaos_runs.RunRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(
            f"Started {name}; it ends by {run.ends_at:%H:%M:%S} UTC. "
            f"Stop it with `chaos stop {name}`."
        )

    def _stop(self, options: dict[str, Any]) -> None:
        reason = options["reason"] or "Stopped by `manage.py chaos stop`"
        try:
            with limit_statements(STOP_S):
                self._stop_runs(options, reason)
        except DatabaseError as error:
            if not options["all"]:
                raise CommandError(
                    f"The database cannot be reached ({type(error).__name__}): "
                    "`chaos stop --all` works without it."
                ) from error
            path = Path(settings.CHAOS_STOP_FILE)
            path.write_text(f"{reason}\n")
            self.stdout.write(
                f"The database cannot be reached ({type(error).__name__}). Wrote the stop "
                f"file {path}: no process of this machine injects faults while it exists. "
                f"Those of others end within {settings.CHAOS_LEASE_S} s by themselves."
            )

    def _stop_runs(self, options: dict[str, Any], reason: str) -> None:
        if options["all"]:
            count = chaos_runs.stop_all(by=None, reason=reason)
            self.stdout.write(f"Stopped {count} runs." if count else "No run is active.")  # fmt: skip
            return
        name = options["name"]
        run = ChaosRun.objects.filter(name=name, state__in=ACTIVE).first()
        if run is None:
            raise CommandError(f"No run of '{name}' is active: see `chaos status`.")
        chaos_runs.stop(run, by=None, reason=reason)
        self.stdout.write(f"Stopped {name}.")

    def _open(self, options: dict[str, Any]) -> None:
        by = audit_context.account_name()
        try:
            window = chaos_windows.open_window(
                hours=options["hours"], reason=options["reason"], opened_by=by
            )
        except chaos_windows.WindowRefused as refusal:
            raise CommandError(f"--{refusal}") from refusal
        self.stdout.write(f"Open until {window.ends_at:%Y-%m-%d %H:%M} UTC.")
        if why := chaos_windows.why_forbidden():
            self.stdout.write(why)

    def _close(self, options: dict[str, Any]) -> None:
        count = chaos_windows.close_windows(audit_context.account_name())
        self.stdout.write(f"Closed {count} windows; active runs are aborted within seconds." if count else "No window was open.")  # fmt: skip
