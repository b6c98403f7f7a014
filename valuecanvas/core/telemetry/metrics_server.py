"""The metrics of a process that serves no requests, such as a worker, on a port of its own."""

import threading
from collections.abc import Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from valuecanvas.core.access import monitor_access
from valuecanvas.core.telemetry.database_metrics import scrape

log = structlog.get_logger("metrics")
# What strangers learn of the server, instead of versions.
SERVER = "valuecanvas"
_answer = make_wsgi_app()


class _Handler(WSGIRequestHandler):
    """Closes the connection of a client that sends nothing, and logs nothing."""

    timeout = 10

    def version_string(self) -> str:
        return SERVER

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are no events."""


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The metrics of this process alone, for those who may read /metrics."""
    if not monitor_access.is_allowed(environ):
        headers = [("WWW-Authenticate", "Bearer"), ("Server", SERVER)]
        start_response("401 Unauthorized", headers)
        return [b""]
    with scrape(database=False):
        found: Iterable[bytes] = _answer(environ, start_response)
    return found


def start_metrics_server(port: int) -> WSGIServer | None:
    """Serve the metrics from a thread; None if the port is taken, which is logged."""
    try:
        server = make_server(
            "", port, application, ThreadingWSGIServer, handler_class=_Handler
        )
    except OSError as error:
        log.error("metrics.port_taken", port=port, error=str(error))
        return None
    threading.Thread(
        target=server.serve_forever, name="metrics-server", daemon=True
    ).start()
    return server
