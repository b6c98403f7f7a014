"""`manage.py drill`: rehearse a failure, and print what came of it."""

import json
import sys
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from llm.chaos import run_report
from llm.chaos.chaos_runs import RunRefused
from llm.chaos.drills import DRILLS, prepare_drill, run_drill
from llm.chaos.drills.scene import Scene
from llm.models import ChaosRun

FAILED, IMPOSSIBLE = 1, 2


class Command(BaseCommand):
    help = (
        "Run a drill: a failure with requests around it, judged by what the documentation "
        "promises. Exits with 0: passed, 1: failed, 2: it could not be run."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", metavar="NAME", help="See --list.")
        parser.add_argument("--list", action="store_true", help="The drills there are.")
        parser.add_argument("--as", dest="by", default="", metavar="USER", help="The superuser who runs it.")  # fmt: skip
        parser.add_argument("--model", default="", help="The chat model to ask. Default: the first one that fits.")  # fmt: skip
        parser.add_argument("--report", type=Path, metavar="FILE", help="Write the report: JSON for a name in .json, else Markdown.")  # fmt: skip
        parser.add_argument("--yes", action="store_true", help="Do not ask.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"] or not options["name"]:
            for drill in DRILLS.values():
                self.stdout.write(f"{drill.name:<21}{drill.description}")
            return
        try:
            run = self._run(options)
        except RunRefused as error:
            raise CommandError(str(error), returncode=IMPOSSIBLE) from error
        self.stdout.write(run_report.write_markdown(run))
        if options["report"]:
            self._save(run, options["report"])
        if run.verdict != "passed":
            sys.exit(FAILED if run.verdict else IMPOSSIBLE)

    def _run(self, options: dict[str, Any]) -> ChaosRun:
        """Raises RunRefused, CommandError."""
        by = User.objects.filter(username=options["by"]).first()
        if by is None:
            raise CommandError(
                "Name the superuser who runs it: --as USER.", returncode=IMPOSSIBLE
            )
        name, model = options["name"], options["model"]
        self._describe(prepare_drill(name, by=by, model=model))
        if not options["yes"] and input("Run it? Type yes: ").strip() != "yes":
            raise CommandError("Nothing was done.", returncode=IMPOSSIBLE)
        return run_drill(name, by=by, model=model, say=self._say)

    def _describe(self, scene: Scene) -> None:
        drill = scene.drill
        providers = " then ".join(one.provider for one in scene.routes)
        self._say(f"{drill.title}: {drill.description}")
        self._say(f"It asks '{scene.model.name}' ({providers}) at {scene.url}.")
        cost = scene.cost_usd
        most = "at an unknown price" if cost is None else f"for {cost:.4f} USD"
        self._say(
            f"It sends {drill.requests_at_most} small requests at most, {most} at most, "
            "as its own customer 'chaos-drill'."
        )

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _save(self, run: ChaosRun, path: Path) -> None:
        is_json = path.suffix == ".json"
        text = json.dumps(run_report.write_json(run), indent=2) if is_json else run_report.write_markdown(run)  # fmt: skip
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}.") from error
