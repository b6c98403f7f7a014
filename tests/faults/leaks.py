"""What a process can leave behind, planted: the check of I8 must find each."""

import asyncio
import functools
import os
import threading
from collections.abc import Callable

import psycopg
from django.db import connection

# One more or less may be what the process does by itself at the moment.
TIMES = 5
MEMORY = 128 * 1024 * 1024
# Kept for good: that is the leak.
_kept: list[object] = []


def _task() -> None:
    _kept.append(asyncio.create_task(asyncio.sleep(3600)))


def _thread() -> None:
    thread = threading.Thread(target=threading.Event().wait, daemon=True)
    thread.start()


def _files() -> None:
    _kept.append(os.open(os.devnull, os.O_RDONLY))


def _postgres() -> None:
    parameters = connection.get_connection_params()
    _kept.append(
        psycopg.connect(
            host=parameters["host"],
            port=parameters["port"],
            user=parameters["user"],
            password=parameters["password"],
            dbname=parameters["dbname"],
        )
    )


def _memory() -> None:
    _kept.append(b"x" * MEMORY)


def _often(leak: Callable[[], None]) -> None:
    for _ in range(TIMES):
        leak()


LEAKS: dict[str, Callable[[], None]] = {
    "tasks": functools.partial(_often, _task),
    "threads": functools.partial(_often, _thread),
    "files": functools.partial(_often, _files),
    "postgres": functools.partial(_often, _postgres),
    "memory": _memory,
}
