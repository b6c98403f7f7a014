"""`python -m tests.fault_provider`: the demo provider with faults by model name."""

import argparse
import os
import signal
import sys
from pathlib import Path
from threading import Thread

from tests.fault_provider.behaviours import describe
from tests.fault_provider.server import FaultProvider
from valuecanvas.embedded.demo_provider.server import serve

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


def announce(line: str) -> None:
    """Prints a line without buffering, since the parent waits for it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def stop_with_stdin() -> None:
    """Stops the server when its parent has ended, in any way."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(arguments: list[str] | None = None) -> None:
    """Parses the arguments and serves until stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fault_provider", description=__doc__
    )
    add_arguments(parser)
    options = parser.parse_args(arguments)
    if options.exit_with_stdin:
        Thread(target=stop_with_stdin, daemon=True).start()
    try:
        provider = FaultProvider(options.send_log, control=options.control)
        serve(provider, options.port, announce)
    except OSError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
