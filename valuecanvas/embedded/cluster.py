"""A PostgreSQL cluster on disk: its folder, account and creation."""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from valuecanvas.embedded import account
from valuecanvas.embedded.account import Account
from valuecanvas.embedded.binaries import Binaries
from valuecanvas.embedded.errors import EngineError
from valuecanvas.embedded.state_files import read_json, write_json

ROLE = "valuecanvas"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class ClusterPlace:
    """The folder of a cluster, its account and its programs."""

    folder: Path
    account: Account
    binaries: Binaries

    @property
    def cluster(self) -> Path:
        return self.folder / "cluster"

    @property
    def data(self) -> Path:
        return self.cluster / "data"

    @property
    def log(self) -> Path:
        return self.folder / "postgres.log"

    @property
    def state(self) -> Path:
        return self.folder / "engine.json"


@contextmanager
def open_cluster(place: ClusterPlace) -> Iterator[tuple[str, dict[str, object]]]:
    """The path of the cluster folder for the server, and options for `subprocess`."""
    name, descriptor = account.open_folder(place.cluster, place.account)
    spawn: dict[str, object] = {"cwd": "/", "env": ENVIRONMENT, **place.account.spawn()}
    if descriptor is None:
        yield name, spawn
        return
    try:
        yield name, {**spawn, "pass_fds": (descriptor,)}
    finally:
        os.close(descriptor)


def initialise(place: ClusterPlace) -> None:
    """Create the cluster beside its final path, so that a partial one is never used."""
    new = place.cluster / "data.new"
    shutil.rmtree(new, ignore_errors=True)
    password = secrets.token_urlsafe(24)
    write_json(place.state, {**read_json(place.state), "password": password})
    secret = place.cluster / "password"
    secret.unlink(missing_ok=True)
    descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(password)
    account.set_owner(secret, place.account)
    with open_cluster(place) as (name, spawn):
        done = subprocess.run(  # type: ignore[call-overload]
            [
                *(place.binaries.tool("initdb"), "-D", f"{name}/data.new"),
                *("-U", ROLE, f"--pwfile={name}/password", "-A", "scram-sha-256"),
                *("-E", "UTF8", "--no-instructions", "--no-sync"),
                *_locale(place.binaries),
            ],
            capture_output=True,
            text=True,
            check=False,
            **spawn,
        )
    secret.unlink()
    if done.returncode != 0:
        raise EngineError(f"initdb failed:\n{done.stderr.strip()}")
    new.rename(place.data)


def _locale(programs: Binaries) -> list[str]:
    """Options for the same sorting and case folding on every machine."""
    if _major(programs) >= 17:
        builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        return [*builtin, "--locale=C"]
    return ["--locale=C.UTF-8"]


def _major(programs: Binaries) -> int:
    """The major version, as the program prints it."""
    asked = subprocess.run(
        [programs.tool("postgres"), "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"(\d+)", asked.stdout)
    return int(found.group()) if found else 0


def check_version(place: ClusterPlace) -> None:
    made_by = (place.data / "PG_VERSION").read_text().strip()
    have = _major(place.binaries)
    if made_by != str(have):
        raise EngineError(
            f"The data in {place.folder} were made by PostgreSQL {made_by}, but "
            f"{have} is installed. Install {made_by}, or move the folder away."
        )
