"""`python -m valuecanvas.embedded.demo_provider`: the demo provider without Django."""

from __future__ import annotations

import argparse
import sys

from valuecanvas.embedded.demo_provider.options import add_arguments, options_from
from valuecanvas.embedded.demo_provider.server import serve


def announce(line: str) -> None:
    """Prints a line at once, since a starter waits for it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> None:
    """Parses the arguments and serves until stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m valuecanvas.embedded.demo_provider", description=__doc__
    )
    add_arguments(parser)
    try:
        serve(options_from(vars(parser.parse_args(arguments))), announce)
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
