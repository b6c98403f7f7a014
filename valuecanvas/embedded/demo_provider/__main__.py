"""`python -m valuecanvas.embedded.demo_provider`: the demo provider without Django."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from valuecanvas.embedded.demo_provider.behaviours import describe
from valuecanvas.embedded.demo_provider.server import Options, serve

_SWITCHES = {
    "--control": "offer /_control and /_stats, with which tests control the server",
    "--exit-with-stdin": "stop when standard input ends: when the parent dies",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the options on a parser."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"Behaviours, by model name, joined by '+':\n\n{describe()}"
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--send-log", type=Path, help="folder for what was sent")
    for name, text in _SWITCHES.items():
        parser.add_argument(name, action="store_true", help=text)


def read_options(values: Mapping[str, Any]) -> Options:
    """The options among the parsed values; others are ignored."""
    return Options(**{name: values[name] for name in Options.__dataclass_fields__})


def announce(line: str) -> None:
    """Prints a line without buffering, since the parent waits for it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> None:
    """Parses the arguments and serves until stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m valuecanvas.embedded.demo_provider", description=__doc__
    )
    add_arguments(parser)
    try:
        serve(read_options(vars(parser.parse_args(arguments))), announce)
    except OSError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
