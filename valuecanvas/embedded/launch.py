"""Runs a command of manage.py with embedded engines if none are configured."""

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
def run_with_engines(arguments: list[str], root: Path) -> Iterator[None]:
    """Provide the engines that the command line `arguments` needs during the block.

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
        say = print_line if supervises else print_nothing
        say(f"Starting the embedded engines in {var} ...")
        with _exit_on_signals(), engines.run_engines(var, wanted, say):
            yield


def is_embedded() -> bool:
    return env.text("VALUECANVAS_ENV", "", "embedded").lower() == "embedded"


def data_folder(root: Path) -> Path:
    """The data folder, as in the settings."""
    return Path(env.text("VALUECANVAS_VAR", "") or root / "var").absolute()


def missing_engines() -> frozenset[str]:
    """The engines without a configured URL."""
    named = {
        engines.DATABASE: env.text("DATABASE_URL", ""),
        engines.STORE: env.text("REDIS_URL", ""),
    }
    return frozenset(kind for kind, url in named.items() if not url)


def needs_engines(arguments: list[str]) -> bool:
    """Whether the command may use the database or Redis."""
    if len(arguments) < 2 or {"-h", "--help", "--version"} & set(arguments):
        return False
    return arguments[1] not in WITHOUT_ENGINES


def print_line(line: str) -> None:
    """Print to standard error: a command's output may be piped."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def print_nothing(line: str) -> None:
    """Print nothing, for commands other than the supervisor."""


@contextmanager
def _exit_on_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP run the `finally` blocks, as Ctrl-C does."""

    def leave(number: int, _: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
