"""S24: the audit of packages never calls clean what it could not look up."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.supply_chain import dependency_audit
from tests.supply_chain.dependency_audit import LOCKS, ROOT

CLEAN = {"name": "base", "version": "1.0", "vulns": []}
SKIPPED = {"name": "part", "skip_reason": "Dependency not found on PyPI"}
VULNERABLE = {
    "name": "asker",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "description": ""}],
}


def answer(monkeypatch: pytest.MonkeyPatch, *packages: dict[str, Any]) -> None:
    text = json.dumps({"dependencies": packages, "fixes": []})
    monkeypatch.setattr(dependency_audit, "run_pip_audit", lambda lock: text)


@pytest.mark.parametrize(
    ("packages", "code", "strict_code", "text"),
    [
        ([CLEAN], 0, 0, "1 packages audited, 0 vulnerabilities."),
        ([CLEAN, SKIPPED], 0, 1, "NOT AUDITED: 1 packages"),
        ([CLEAN, VULNERABLE], 1, 1, "VULNERABLE: asker 1.0: PYSEC-1, fixed in 1.1"),
        ([], 0, 1, "0 packages audited"),
    ],
)
def test_main__kinds_of_packages__are_reported(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    packages: list[dict[str, Any]],
    code: int,
    strict_code: int,
    text: str,
) -> None:
    answer(monkeypatch, *packages)
    assert dependency_audit.main([]) == code
    assert text in capsys.readouterr().out
    assert dependency_audit.main(["--strict"]) == strict_code


@pytest.mark.parametrize(
    "error",
    [
        subprocess.TimeoutExpired("pip-audit", 120),
        subprocess.CalledProcessError(1, "pip-audit", stderr="no index"),
    ],
)
def test_main__no_answer__is_not_audited(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    def fail(lock: Path) -> str:
        raise error

    monkeypatch.setattr(dependency_audit, "run_pip_audit", fail)
    assert dependency_audit.main([]) == 0
    assert capsys.readouterr().out.count("NOT AUDITED") == len(LOCKS)
    assert dependency_audit.main(["--strict"]) == 1


def test_locks__of_what_is_audited__are_all_that_are_installed() -> None:
    """The schemas and the local model are data: their code is not run."""
    data = {"requirements-schemas.txt", "requirements-local-model.txt"}
    assert {path.name for path in ROOT.glob("requirements*.txt")} - data == set(LOCKS)
