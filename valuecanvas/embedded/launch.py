"""What manage.py does around a command: bring engines where none is configured."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from valuecanvas import env
from valuecanvas.embedded import engines, ports
from valuecanvas.embedded.state_files import private_folder

WITHOUT_ENGINES = frozenset(
    {
        "check",
        "collectstatic",
        "compilemessages",
        "demo_provider",
        "diffsettings",
        "findstatic",
        "help",
        "local_model",
        "makemessages",
        "startapp",
        "startproject",
        "version",
    }
)
SUPERVISOR = "up"


@contextmanager
def surroundings(arguments: list[str], root: Path) -> Iterator[None]:
    """Whatever the command line `arguments` needs, while the block runs.

    Raises EngineError with the remedy when it cannot be had.
    """
    supervises = needs_engines(arguments) and arguments[1] == SUPERVISOR
    if supervises:
        ports.require_web_port()
    if not is_embedded() or not needs_engines(arguments):
        yield
        return
    var = private_folder(data_folder(root))
    with ports.claim_ports(var) if supervises else ports.use_known_ports(var):
        wanted = missing_engines()
        if not wanted:
            yield
            return
        say = tell if supervises else silent
        say(f"Starting the embedded engines in {var} ...")
        with _orderly_end(), engines.run_engines(var, wanted, say):
            yield


def is_embedded() -> bool:
    return env.text("VALUECANVAS_ENV", "", "embedded").lower() == "embedded"


def data_folder(root: Path) -> Path:
    """The same folder that the settings name."""
    return Path(env.text("VALUECANVAS_VAR", "") or root / "var").absolute()


def missing_engines() -> frozenset[str]:
    """The engines that no setting names."""
    named = {
        engines.DATABASE: env.text("DATABASE_URL", ""),
        engines.STORE: env.text("REDIS_URL", ""),
    }
    return frozenset(kind for kind, url in named.items() if not url)


def needs_engines(arguments: list[str]) -> bool:
    """Whether the command line can touch the database or Redis."""
    if len(arguments) < 2 or {"-h", "--help", "--version"} & set(arguments):
        return False
    return arguments[1] not in WITHOUT_ENGINES


def tell(line: str) -> None:
    """To the standard error: a command's output may be piped elsewhere."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def silent(line: str) -> None:
    """For a plain command: its engines are nobody's business."""


@contextmanager
def _orderly_end() -> Iterator[None]:
    """SIGTERM and SIGHUP leave by way of the `finally` blocks, as Ctrl-C does."""

    def leave(number: int, _: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
