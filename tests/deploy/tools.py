"""Programs that look at deploy/, and what they say."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PRODUCTION = DEPLOY / "k8s/overlays/production"
Manifest = dict[str, Any]
COMPOSE: Manifest = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())
SERVICES: dict[str, Manifest] = COMPOSE["services"]


def find_program(name: str) -> str:
    """Its path: beside this Python, or on the machine.

    No package for Python has kubectl, so without it the tests that need it are skipped.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed.")
    return found


@cache
def render(folder: Path = PRODUCTION) -> tuple[Manifest, ...]:
    """What `kubectl apply -k` would apply."""
    done = subprocess.run(
        [find_program("kubectl"), "kustomize", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return tuple(yaml.safe_load_all(done.stdout))


def manifests(kind: str) -> dict[str, Manifest]:
    """Those of one kind, by name."""
    return {one["metadata"]["name"]: one for one in render() if one["kind"] == kind}


def pods() -> dict[str, Manifest]:
    """The pod templates, by the name of what makes them."""
    found = {
        one["metadata"]["name"]: one["spec"]["template"]
        for one in render()
        if one["kind"] in ("Deployment", "Job")
    }
    for name, one in manifests("CronJob").items():
        found[name] = one["spec"]["jobTemplate"]["spec"]["template"]
    return found


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def make_secrets(folder: Path, *more: str) -> dict[str, Path]:
    """What deploy/make-secrets.sh makes, by name."""
    command = [str(DEPLOY / "make-secrets.sh"), str(folder), *more]
    subprocess.run(command, capture_output=True, check=True)
    return {path.name: path for path in folder.iterdir()}


def check_settings(env: dict[str, str]) -> str:
    """What `manage.py check --deploy` finds wrong with these settings and no others."""
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr if done.returncode else ""


def read_env(path: Path) -> dict[str, str]:
    """The lines NAME=value of a file."""
    lines = path.read_text().splitlines()
    return dict(x.split("=", 1) for x in lines if x and not x.startswith("#"))
