"""The Dockerfile: linted, and in step with the project."""

import json
import re
import subprocess

from tests.deploy.tools import DEPLOY, ROOT, find_program
from tests.test_architecture import ROOT as SOURCES

TEXT = (DEPLOY / "Dockerfile").read_text()
FINAL = TEXT.rpartition("\nFROM ")[2]


def test_dockerfile__linted__is_clean() -> None:
    done = subprocess.run(
        [find_program("hadolint"), str(DEPLOY / "Dockerfile")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_dockerfile__linter__finds_a_fault() -> None:
    done = subprocess.run(
        [find_program("hadolint"), "-"],
        input=TEXT.replace("USER 10001:10001\n", "USER root\n"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "DL3002" in done.stdout


def test_image__process__is_the_web_server_as_a_plain_user() -> None:
    command = re.search(r"^CMD (\[.+\])$", FINAL, re.MULTILINE)
    assert command
    start = ["python", "-m", "valuecanvas.serve"]
    assert json.loads(command[1]) == [*start, "--host", "0.0.0.0", "--port", "8000"]
    assert "\nUSER 10001:10001\n" in FINAL
    assert "\nSTOPSIGNAL SIGTERM\n" in FINAL
    assert "/health/live" in FINAL


def test_image__packages__are_checked_by_hash_and_not_compiled() -> None:
    (install,) = re.findall(r"^RUN python -m pip [^&]+?[^\\]$", TEXT, re.MULTILINE)
    for flag in ("--require-hashes", "--no-deps", "--only-binary :all:"):
        assert flag in install
    assert "-r requirements.txt" in install
    assert "pip" not in FINAL


def test_context__of_the_build__is_the_product_alone() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if not line.startswith("#")]
    assert rules[0] == "*"
    taken = {rule[1:] for rule in rules if rule.startswith("!")}
    packages = {path.parent.name for path in SOURCES.glob("*/__init__.py")}
    others = {"requirements.txt", "manage.py", "templates", "deploy/build.env"}
    assert taken == packages - {"tests", "bench"} | others
    assert all((ROOT / name).exists() for name in taken)


def test_settings__of_the_build__are_those_of_the_checks() -> None:
    use = "set -a && . deploy/build.env"
    assert use in TEXT
    assert use in (ROOT / "Makefile").read_text()


def test_deploy__every_file__leaves_the_server_s_arguments_to_one_place() -> None:
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        assert "uvicorn" not in path.read_text(), path
