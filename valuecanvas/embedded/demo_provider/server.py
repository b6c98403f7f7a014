"""Starting and stopping the demo provider."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from valuecanvas.embedded.demo_provider.handlers import application
from valuecanvas.embedded.demo_provider.options import Options
from valuecanvas.embedded.demo_provider.state import Desk

try:
    import uvloop
except ImportError:  # it has no wheels for some platforms
    uvloop = None  # type: ignore[assignment]

_STOP_SECONDS = 1.0


async def start(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    referee: Path | None = None,
    control: bool = False,
    seed: int = 7,
) -> tuple[web.AppRunner, int]:
    """Starts a server in the running loop; returns its runner and its port.

    Raises ValueError for a host that isn't loopback, OSError if the port is taken.
    Stop it by `await runner.cleanup()`.
    """
    if not is_loopback(host):
        raise ValueError(f"The demo provider listens on loopback only, not on {host}.")
    if referee is not None:
        referee.mkdir(parents=True, exist_ok=True)
    app = application(desk=Desk(referee=referee, seed=seed), control=control)
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,  # a client that leaves must be noticed at once
        shutdown_timeout=_STOP_SECONDS,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner, runner.addresses[0][1]


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve(options: Options, announce: Callable[[str], None]) -> None:
    """Runs a server until SIGINT or SIGTERM; `announce` gets the line with its URL."""
    with asyncio.Runner(loop_factory=_loop_factory()) as loop:
        loop.run(_serve(options, announce))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    return uvloop.new_event_loop if uvloop else asyncio.new_event_loop


async def _serve(options: Options, announce: Callable[[str], None]) -> None:
    runner, port = await start(
        options.host,
        options.port,
        referee=options.referee,
        control=options.control,
        seed=options.seed,
    )
    host = f"[{options.host}]" if ":" in options.host else options.host
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if options.exit_with_stdin:
        loop.add_reader(sys.stdin.fileno(), _read_stdin, stop)
    announce(f"demo provider listening on http://{host}:{port}/v1")
    try:
        await stop.wait()
    finally:
        await runner.cleanup()


def _read_stdin(stop: asyncio.Event) -> None:
    """Stops the server once whoever started it is gone, by whatever death."""
    if not os.read(sys.stdin.fileno(), 4096):
        stop.set()
