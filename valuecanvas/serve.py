"""Start the web server: `python -m valuecanvas.serve --host 0.0.0.0 --workers 4`.

It becomes uvicorn with the arguments that the gateway relies on; what is added goes to
uvicorn as well.
"""

import os
import sys

APPLICATION = "valuecanvas.asgi:application"
ARGUMENTS = (
    # Bounds what a client sends outside of bodies.
    *("--http", "valuecanvas.http.protocol.uvicorn_protocol:HttpProtocol"),
    *("--lifespan", "on"),
    "--no-access-log",
    # Nobody's X-Forwarded-For is believed but by TRUST_PROXY.
    "--no-proxy-headers",
    # Of the 35 s in which a process is gone after SIGTERM.
    *("--timeout-graceful-shutdown", "32"),
)


def command(*more: str, application: str = APPLICATION) -> list[str]:
    """The command line of a web server; `more` are arguments of uvicorn."""
    return [sys.executable, "-m", "uvicorn", application, *ARGUMENTS, *more]


if __name__ == "__main__":
    os.execv(sys.executable, command(*sys.argv[1:]))  # noqa: S606
