"""Runs the commands of shell blocks, or says why one is not run."""

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from django.core.management import call_command
from django.core.management.base import BaseCommand

from tests.docs.code_blocks import ROOT
from tests.docs.reference.pages import our_commands

# Programs that a test can't have, and why. Paths that they name are looked up all the same.
NOT_RUN: Mapping[str, str] = MappingProxyType(
    {
        "cd": "The block is for a machine with Docker.",
        "celery": "It asks or is a worker.",
        "cp": "The block is for a machine with Docker.",
        "deploy/make-secrets.sh": "tests/deploy/test_compose.py runs it.",
        "deploy/observability/prometheus-rule.sh": "It is for a cluster.",
        "docker": "It needs a daemon.",
        "git": "It commits.",
        "k6": "`make load` runs it.",
        "kubectl": "It needs a cluster.",
        "pgbackrest": "It needs a server's own files.",
        "python -m": "It serves or measures until it is stopped.",
        "redis-cli": "It is no package of Python.",
        "zcat": "It reads the export of a whole month.",
        "../make-secrets.sh": "tests/deploy/test_compose.py runs it.",
    }
)
# Commands of which the arguments are read only, and why.
ONLY_READ = {"upgrade": "It backs up and migrates: tests/upgrade runs it."}
# Those that exit with 1 for what they found.
REPORTING = {"status"}


@dataclass
class Shell:
    """A folder, variables, and how to make an example's addresses and keys real."""

    folder: Path
    variables: dict[str, str]
    localize: Callable[[str], str]

    def run(self, command: str) -> None:
        """Raises AssertionError if it fails or is not known."""
        words = shlex.split(command, comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        # `kubectl exec deploy/web` means a deployment, not a path.
        for path in re.findall(
            r"(?<![\w/.-])(?<!exec )((?:deploy|tests)/[\w./-]+)", command
        ):
            assert (ROOT / path).exists(), f"There is no {path}."
        program = " ".join(words[:2]) if words[:2] == ["python", "-m"] else words[0]
        runs = {
            "curl": lambda: self._curl(command),
            "export": lambda: self._export(words[1:]),
            "make": lambda: _check_targets(words[1:]),
            "python": lambda: _manage(words),
        }
        if program not in NOT_RUN:
            assert program in runs, f"Run '{program}', or say in NOT_RUN why not."
            runs[program]()

    def _curl(self, command: str) -> None:
        line = 'set -eu\ncurl() { command curl -sS --fail-with-body --max-time 120 "$@"; }\n'
        done = subprocess.run(
            ["bash", "-c", line + self.localize(command)],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **self.variables},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    def _export(self, words: list[str]) -> None:
        pairs = (self.localize(word).partition("=") for word in words)
        self.variables |= {name: value for name, _, value in pairs}


def _check_targets(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for word in words:
        assert "=" in word or f"\n{word}:" in makefile, f"There is no target {word}."


def _manage(words: list[str]) -> None:
    """Call `python manage.py NAME ... && python manage.py NAME ...`."""
    while "&&" in words:
        at = words.index("&&")
        _manage(words[:at])
        words = words[at + 1 :]
    assert words[1] == "manage.py"
    name, arguments = words[2], words[3:]
    if name in ONLY_READ:
        ours: BaseCommand = our_commands()[name]
        ours.create_parser("manage.py", name).parse_args(arguments)
        return
    try:
        call_command(name, *arguments)
    except SystemExit as end:
        assert not end.code or name in REPORTING
