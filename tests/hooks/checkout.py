"""A throw-away clone in which hooks are run; the one around it is left alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.hooks.offences import Offence

ROOT = Path(__file__).resolve().parents[2]
# Of this run: what they start is no worker of it and measures no coverage, and a hook of git
# that runs the tests names its own repository.
OURS = ("GIT_", "PYTEST_", "COV_", "COVERAGE_", "PRE_COMMIT", "SKIP")


def make_environment(home: Path) -> dict[str, str]:
    """What hooks see here: the engines of this run, and no configuration of git."""
    kept = {name: it for name, it in os.environ.items() if not name.startswith(OURS)}
    return {
        **kept,
        "HOME": str(home),
        "PRE_COMMIT_HOME": str(home / "pre-commit"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{
            f"GIT_{who}_{what}": "test@example.com"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
        "TEST_DATABASE_URL": os.environ["DATABASE_URL"],
        "TEST_REDIS_URL": os.environ["REDIS_URL"],
    }


class Checkout:
    """A repository with a copy of the files named, and the environment of the tests."""

    def __init__(self, home: Path, paths: list[str]) -> None:
        self.root = home / "checkout"
        self.environment = make_environment(home)
        for path in paths:
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, self.root / path, follow_symlinks=False)
        (self.root / ".venv").symlink_to(sys.prefix)
        self.git("init", "-q")

    def git(self, *arguments: str) -> None:
        subprocess.run(("git", *arguments), cwd=self.root, env=self.environment, check=True)  # fmt: skip

    def seed(self, offences: list[Offence]) -> None:
        """Commit what is there, then stage the offences."""
        links = [one for one in offences if one.was_link]
        for one in links:
            (self.root / one.path).symlink_to(str(one.content))
        self.git("add", "--all")
        self.git("commit", "-q", "--no-verify", "-m", "test: a clean tree")
        for one in links:
            (self.root / one.path).unlink()
        for one in offences:
            self.write(one)
        self.git("add", "--all")

    def write(self, one: Offence) -> None:
        path = self.root / one.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if one.link:
            path.symlink_to(str(one.content))
            return
        content = one.content
        if one.instead:
            assert isinstance(content, str)
            text = path.read_text()
            assert one.instead in text, f"{one.path} has no {one.instead!r} any more."
            content = text.replace(one.instead, content, 1)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(one.mode)

    def run_hook(self, hook: str, *arguments: str) -> tuple[int, str]:
        """Its exit code and what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "pre_commit", "run", hook, *arguments],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


def list_files() -> list[str]:
    """All that is in this clone or would be committed next."""
    done = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        cwd=ROOT,
        env={name: it for name, it in os.environ.items() if name[:4] != "GIT_"},
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for path in done.stdout.split("\0") if (ROOT / path).is_file()]
