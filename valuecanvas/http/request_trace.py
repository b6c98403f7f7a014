"""The trace of an HTTP request: its span of kind SERVER, by OpenTelemetry's names."""

from contextlib import AbstractContextManager
from time import monotonic

from llm.replies.http_responses import HotResponse
from valuecanvas.core.telemetry import traces
from valuecanvas.core.telemetry.traces import Attributes, Kind, Parent, Trace
from valuecanvas.http.hot_body import Scope

HEADER = "x-valuecanvas-trace-id"
# Any other word in a method's place is a caller's.
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


def start(scope: Scope) -> AbstractContextManager[Trace | None]:
    """The trace of the block that serves this request; None where traces are off.

    Without a parent its id is that of the request.
    """
    if not traces.are_on():
        return traces.OFF
    request_id = scope["valuecanvas.request_id"]
    return traces.start(
        _method(scope), Kind.SERVER, request_id.int, parent=_parent(scope)
    )


def note_answer(scope: Scope, response: HotResponse) -> None:
    """Add what is known once the answer begins, and tell the client the trace's id."""
    trace = traces.current()
    if trace is None:
        return
    trace.answered_at = monotonic()
    response.headers[HEADER] = trace.id
    if response.status >= 500:
        trace.error = str(response.status)
    route = scope.get("valuecanvas.route")
    if route is not None:
        trace.name = f"{trace.name} /{route}"
    trace.describe(lambda: _attributes(scope, response.status))


def _attributes(scope: Scope, status: int) -> Attributes:
    """No path, address or header: they may have personal data."""
    found = {
        "http.request.method": _method(scope),
        "http.response.status_code": status,
        "valuecanvas.request_id": str(scope["valuecanvas.request_id"]),
    }
    if "valuecanvas.route" in scope:
        found["http.route"] = f"/{scope['valuecanvas.route']}"
    return found


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in METHODS else "_OTHER"


def _parent(scope: Scope) -> Parent | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            return traces.parse_parent(value.decode("latin-1"))
    return None
