"""Runs commands of manage.py, each in a fork of one process that has loaded Django.

Loading it takes seconds on a busy machine. Reads a JSON list of arguments a line; writes
the exit code and what was printed as a JSON list a line.
"""

import json
import os
import sys
import tempfile

import django
from django.urls import get_resolver

import manage


def run_command(arguments: list[str]) -> int:
    """The exit code, as the process of the command would have it."""
    sys.argv = ["manage.py", *arguments]
    try:
        manage.main()
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code)  # noqa: T201
        return error.code if isinstance(error.code, int) else int(bool(error.code))
    return 0


def run_fork(arguments: list[str]) -> tuple[int, str]:
    with tempfile.TemporaryFile() as printed:
        child = os.fork()
        if not child:
            code = 1
            os.dup2(printed.fileno(), 1)
            os.dup2(printed.fileno(), 2)
            try:
                code = run_command(arguments)
            finally:
                sys.stdout.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        printed.seek(0)
        return code, printed.read().decode()


if __name__ == "__main__":
    django.setup()
    # What the checks before each command need, and loads most.
    list(get_resolver().url_patterns)
    for line in sys.stdin:
        print(json.dumps(run_fork(json.loads(line))), flush=True)  # noqa: T201
