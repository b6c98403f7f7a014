"""The options of the demo provider, the same for both of its commands."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from valuecanvas.embedded.demo_provider.behaviours import describe


@dataclass(frozen=True, slots=True)
class Options:
    """Where to listen and what to record."""

    host: str = "127.0.0.1"
    port: int = 0
    referee: Path | None = None
    control: bool = False
    seed: int = 7
    exit_with_stdin: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options on a parser."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"Behaviours, by model name, joined by '+':\n\n{describe()}"
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument(
        "--referee",
        type=Path,
        metavar="DIR",
        help="folder for one file per attempt, with what was written to the socket",
    )
    parser.add_argument(
        "--control",
        action="store_true",
        help="offer /_control and /_stats, by which drills steer the server",
    )
    parser.add_argument(
        "--seed", type=int, default=7, help="seed of the pattern of flaky@N"
    )
    parser.add_argument(
        "--exit-with-stdin",
        action="store_true",
        help="stop when standard input ends, that is when the starter dies",
    )


def options_from(values: dict[str, object]) -> Options:
    """The options among parsed values; others are left aside."""
    names = Options.__dataclass_fields__
    return Options(**{name: values[name] for name in names})  # type: ignore[arg-type]
