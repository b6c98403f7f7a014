"""Start the web server: `python -m valuecanvas.serve --host 0.0.0.0 --workers 4`.

It runs uvicorn with the arguments that the gateway needs; further arguments are passed
on to uvicorn.
"""

import os
import sys

APPLICATION = "valuecanvas.asgi:application"
ARGUMENTS = (
    # Limits what a client sends outside of bodies.
    *("--http", "valuecanvas.http.protocol.uvicorn_protocol:HttpProtocol"),
    *("--lifespan", "on"),
    "--no-access-log",
    "--no-server-header",
    # X-Forwarded-For is used only with TRUST_PROXY.
    "--no-proxy-headers",
    # Longer than proxies keep idle connections (60 s mostly): else a request may meet the end.
    *("--timeout-keep-alive", "75"),
    # A process ends within 35 s of SIGTERM.
    *("--timeout-graceful-shutdown", "32"),
)


def command(*more: str, application: str = APPLICATION) -> list[str]:
    """The command line of a web server; `more` are arguments of uvicorn."""
    return [sys.executable, "-m", "uvicorn", application, *ARGUMENTS, *more]


if __name__ == "__main__":
    os.execv(sys.executable, command(*sys.argv[1:]))  # noqa: S606
