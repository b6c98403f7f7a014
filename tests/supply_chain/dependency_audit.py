"""Looks the pinned packages up in the database of known vulnerabilities.

`python -m tests.supply_chain.dependency_audit` exits 1 for a vulnerability. A package that
could not be looked up was not audited: that is said, and with --strict it exits 1, too.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOCKS = (
    "requirements.txt",
    "requirements-embedded.txt",
    "requirements-dev.txt",
    "requirements-tools.txt",
    "requirements-clients.txt",
)
LONGEST_S = 120


@dataclass
class Findings:
    """What the lookups found; the packages are "name version"."""

    audited: set[str] = field(default_factory=set)
    # By package, why it could not be looked up.
    skipped: dict[str, str] = field(default_factory=dict)
    # As lines to print.
    vulnerable: list[str] = field(default_factory=list)
    # Of a lock as a whole: pip-audit failed.
    failures: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return bool(self.audited) and not self.skipped and not self.failures

    def add(self, report: dict[str, Any]) -> None:
        """Add a report of pip-audit (its JSON format)."""
        for one in report["dependencies"]:
            if reason := one.get("skip_reason"):
                self.skipped[one["name"]] = reason
                continue
            self.audited.add(f"{one['name']} {one['version']}")
            self.vulnerable += [
                f"{one['name']} {one['version']}: {vuln['id']}, fixed in "
                f"{', '.join(vuln['fix_versions']) or 'no version yet'}"
                for vuln in one["vulns"]
            ]


def run_pip_audit(lock: Path) -> str:
    """pip-audit's JSON; raises OSError or CalledProcessError if there is none."""
    command = [
        *(sys.executable, "-m", "pip_audit", "--requirement", str(lock)),
        *("--disable-pip", "--require-hashes", "--progress-spinner=off"),
        *("--format=json", "--timeout=10"),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=LONGEST_S
    )
    if not done.stdout.startswith("{"):
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise subprocess.CalledProcessError(
            done.returncode, "pip-audit", stderr=lines[-1]
        )
    return done.stdout


def audit(locks: Iterable[Path]) -> Findings:
    """Look up the packages of all locks."""
    found = Findings()
    for lock in locks:
        try:
            found.add(json.loads(run_pip_audit(lock)))
        except subprocess.TimeoutExpired:
            found.failures.append(f"{lock.name}: no answer in {LONGEST_S} s")
        except subprocess.CalledProcessError as error:
            found.failures.append(f"{lock.name}: {str(error.stderr)[:200]}")
    return found


def describe(found: Findings) -> str:
    """The result as a text for people."""
    lines = [f"VULNERABLE: {line}" for line in found.vulnerable]
    lines += [f"NOT AUDITED: {line}" for line in found.failures]
    if found.skipped:
        reason = next(iter(found.skipped.values()))
        lines.append(f"NOT AUDITED: {len(found.skipped)} packages, e.g. {reason}")
    lines.append(
        f"{len(found.audited)} packages audited, {len(found.vulnerable)} vulnerabilities."
    )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strict", action="store_true", help="fail for what was not audited")  # fmt: skip
    strict = parser.parse_args(arguments).strict
    found = audit(ROOT / name for name in LOCKS)
    sys.stdout.write(f"{describe(found)}\n")
    return int(bool(found.vulnerable) or (strict and not found.complete))


if __name__ == "__main__":
    sys.exit(main())
