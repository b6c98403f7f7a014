"""A collector that takes traces over HTTP, as an OpenTelemetry collector does."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PATIENCE_S = 60.0


@dataclass
class Received:
    """One span, readable."""

    span: Span
    resource: dict[str, Any]
    attributes: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.attributes = values(self.span.attributes)

    @property
    def name(self) -> str:
        return str(self.span.name)

    @property
    def kind(self) -> str:
        return str(Span.SpanKind.Name(self.span.kind)).removeprefix("SPAN_KIND_")

    @property
    def failed(self) -> bool:
        return self.span.status.code == 2

    @property
    def events(self) -> list[str]:
        return [event.name for event in self.span.events]


@dataclass
class Trace:
    """All spans of one trace, by the order in which they began."""

    spans: list[Received]

    @property
    def root(self) -> Received:
        ids = {one.span.span_id for one in self.spans}
        [root] = [one for one in self.spans if one.span.parent_span_id not in ids]
        return root

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.spans]

    def one(self, name: str) -> Received:
        [found] = [one for one in self.spans if one.name == name]
        return found

    def of_kind(self, kind: str) -> list[Received]:
        return [one for one in self.spans if one.kind == kind]

    def children(self, parent: Received) -> list[Received]:
        own = parent.span.span_id
        return [one for one in self.spans if one.span.parent_span_id == own]


class Collector:
    """A running collector. `answer` is the status that it answers with."""

    def __init__(self, url: str = "") -> None:
        self.url = url
        self.answer = 200
        self.delay_s = 0.0
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self._spans: list[Received] = []
        self._changed = threading.Condition()

    def take(self, body: bytes, headers: dict[str, str]) -> int:
        time.sleep(self.delay_s)
        message = ExportTraceServiceRequest.FromString(body)
        with self._changed:
            self.headers.append(headers)
            self.bodies.append(body)
            for group in message.resource_spans:
                resource = values(group.resource.attributes)
                for scope in group.scope_spans:
                    self._spans += [Received(span, resource) for span in scope.spans]
            self._changed.notify_all()
        return self.answer

    def trace(
        self, trace_id: str, whole: Callable[[Trace], bool] = lambda trace: True
    ) -> Trace:
        """The trace, once something of it has come, and it is `whole`."""
        deadline = time.monotonic() + PATIENCE_S
        with self._changed:
            while True:
                spans = [
                    one for one in self._spans if one.span.trace_id.hex() == trace_id
                ]
                spans.sort(key=lambda one: one.span.start_time_unix_nano)
                if spans and whole(Trace(spans)):
                    return Trace(spans)
                if not self._changed.wait(deadline - time.monotonic()):
                    names = [one.name for one in spans]
                    raise TimeoutError(f"Of the trace {trace_id} came {names}.")

    def trace_ids(self) -> set[str]:
        """The traces of which something has come."""
        with self._changed:
            return {one.span.trace_id.hex() for one in self._spans}


def values(attributes: list[KeyValue]) -> dict[str, Any]:
    """Attributes as Python has them."""
    found = {}
    for one in attributes:
        kind = one.value.WhichOneof("value")
        found[one.key] = getattr(one.value, kind)
    return found


@contextmanager
def running_collector() -> Iterator[Collector]:
    """A collector on a free port."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            assert self.headers["Content-Type"] == "application/x-protobuf"
            status = collector.take(body, dict(self.headers))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
