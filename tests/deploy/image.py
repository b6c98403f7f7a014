"""Builds an image without a container engine, and enters what was built by chroot."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# The release whose Python is the image's, with what the official image has besides.
RELEASE = "bookworm"
PACKAGES = "python3,python3-pip,python3-venv,ca-certificates,netbase,tzdata"
# Debian's own: PostgreSQL's packages may be out of reach.
POSTGRES_MAJOR = "15"
BASE, IMAGE = "localhost/rehearsal-base", "localhost/rehearsal"
# One chroot: read-only but for /tmp and the volume, with the image's user.
ENTER = """set -e
mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"
mount -t tmpfs tmpfs "$1/tmp"; mount --bind "$2" "$1/var/lib/valuecanvas"
mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"
root=$1 user=$3; shift 3
exec chroot --userspec="$user" "$root" env -i -C /app "$@"
"""


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def timed(what: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    say(f"{time.monotonic() - begun:7.1f} s  {what}")


def run(*command: str) -> str:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=ROOT
    )
    if done.returncode:
        # Its end: before it may stand secrets.
        words = " ".join(command[-3:])
        sys.exit(f"{words} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout.strip()


@dataclass(frozen=True)
class Builder:
    """buildah with a store of its own, which the caller deletes."""

    folder: Path

    def __call__(self, *arguments: str) -> str:
        store = ("--root", f"{self.folder}/store", "--runroot", f"{self.folder}/run")
        return run("buildah", *store, "--storage-driver", "vfs", *arguments)

    def make_base(self) -> None:
        tree = self.folder / "debian"
        include = f"--include={PACKAGES}"
        run("debootstrap", "--variant=minbase", include, RELEASE, str(tree))
        (tree / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        # A company's own certificate authority, if this machine has one.
        bundle = Path("etc/ssl/certs/ca-certificates.crt")
        shutil.copy("/" / bundle, tree / bundle)
        name = self("from", "scratch")
        self("add", name, str(tree), "/")
        self("commit", "--quiet", name, BASE)
        shutil.rmtree(tree)

    def build(self) -> None:
        arguments = {"BASE": BASE, "POSTGRES_MAJOR": POSTGRES_MAJOR}
        given = [x for k, v in arguments.items() for x in ("--build-arg", f"{k}={v}")]
        file = ("--file", "deploy/Dockerfile", "--format", "docker", "--tag", IMAGE)
        self("bud", "--isolation", "chroot", "--pull-never", *given, *file, ".")


@dataclass(frozen=True)
class Image:
    """A built image: its files and its configuration."""

    root: Path
    config: Mapping[str, Any]
    volume: Path

    def command(self, *arguments: str, env: Mapping[str, str]) -> list[str]:
        values = [*self.config["Env"], *(f"{k}={v}" for k, v in env.items())]
        place = (str(self.root), str(self.volume), self.config["User"])
        enter = ["unshare", "--mount", "sh", "-c", ENTER, "sh", *place]
        return [*enter, *values, *arguments]
