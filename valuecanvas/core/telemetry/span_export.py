"""Sends traces to an OpenTelemetry collector: OTLP over HTTP, from a thread of its own.

The messages are made without OpenTelemetry's SDK, whose spans and encoder take four times
as long, and beside requests that time counts.
"""

import atexit
import os
import platform
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import httpx2
import structlog
from django.conf import settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as otlp

from valuecanvas.core.metrics import TRACES_DROPPED, TRACES_EXPORTED
from valuecanvas.core.telemetry.redaction import redact
from valuecanvas.core.telemetry.traces import Attributes, Parent, Trace, TraceSpan

log = structlog.get_logger("traces")
Finished = tuple[Trace, TraceSpan]

EVERY_S = 1.0
# So many traces wait at most, and so many are taken each second: what an outage of
# ours, in which each request is kept, costs the process at most.
MOST_WAITING = 1000
# Few, as the event loop waits while a message is encoded.
AT_A_TIME = 50
TIMEOUT_S = 5.0
# A process that ends waits so long for what is not sent yet.
END_S = 2.0
# Ids below it are of attempts, see Trace.attempt_id.
FIRST_ID = 1000


class SpanExport:
    """The finished traces of this process that are still to be sent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Finished] = deque()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = 0
        # Whether the last message of this thread was taken: each change is logged once.
        self._up = True
        # From 0 on: an alert on an increase must see the first one.
        for reason in ("queue_full", "collector", "unfit"):
            TRACES_DROPPED.labels(reason)

    def add(self, trace: Trace, root: TraceSpan) -> None:
        """Queue a finished trace; it is dropped and counted if too many wait."""
        self.start()
        if len(self._waiting) >= MOST_WAITING:
            TRACES_DROPPED.labels("queue_full").inc()
        else:
            self._waiting.append((trace, root))

    def close(self) -> None:
        """Send what waits, if that takes no longer than END_S, and end the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None or self._pid != os.getpid():
                return
            # Should another trace come, it starts again.
            self._pid = 0
        self._ended.set()
        thread.join(END_S)

    def start(self) -> None:
        """Start the thread, once: none survives a fork, and what waited is the parent's."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            if self._pid:
                self._waiting.clear()
            self._up = True
            self._ended = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(self._ended,), name="traces", daemon=True
            )
            self._thread.start()
            self._pid = os.getpid()
            atexit.register(self.close)

    def _run(self, ended: threading.Event) -> None:
        url = f"{settings.OTEL_EXPORTER_OTLP_ENDPOINT.rstrip('/')}/v1/traces"
        headers = {
            "Content-Type": "application/x-protobuf",
            **settings.OTEL_EXPORTER_OTLP_HEADERS,
        }
        resource = _resource()
        with httpx2.Client(
            timeout=TIMEOUT_S, headers=headers, trust_env=False
        ) as client:
            while True:
                last = ended.wait(EVERY_S)
                for _ in range(0, len(self._waiting), AT_A_TIME):
                    self._send(client, url, resource)
                if last:
                    return

    def _send(self, client: httpx2.Client, url: str, resource: Resource) -> None:
        """Send the next traces. Those that the collector does not take are dropped."""
        traces = [
            self._waiting.popleft() for _ in range(min(AT_A_TIME, len(self._waiting)))
        ]
        try:
            response = client.post(url, content=encode(traces, resource))
            problem = (
                "" if response.is_success else f"it answered {response.status_code}"
            )
        except httpx2.HTTPError as error:
            problem = type(error).__name__
        except Exception:
            # A thread that ended here would drop all later traces.
            log.exception("traces.unfit")
            TRACES_DROPPED.labels("unfit").inc(len(traces))
            return
        if problem:
            TRACES_DROPPED.labels("collector").inc(len(traces))
        else:
            TRACES_EXPORTED.inc(len(traces))
        if self._up is bool(problem):
            self._up = not problem
            log.warning("traces.collector", up=self._up, url=url, problem=problem)


def encode(traces: Iterable[Finished], resource: Resource) -> bytes:
    """The message for a collector."""
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add(resource=resource)
    spans = group.scope_spans.add()
    spans.scope.name = "valuecanvas"
    # From the monotonic clock to the one on the wall.
    offset = time.time() - time.monotonic()
    for trace, root in traces:
        spans.spans.extend(_TraceEncoder(trace, offset).spans(root))
    return bytes(message.SerializeToString())


class _TraceEncoder:
    """Turns the spans of one trace into OTLP's."""

    def __init__(self, trace: Trace, offset: float) -> None:
        self._trace = trace
        self._trace_id = trace.trace_id.to_bytes(16, "big")
        self._offset = offset
        self._next = FIRST_ID

    def spans(self, own: TraceSpan) -> Iterator[otlp.Span]:
        """All of them, from the trace's own one on."""
        trace = self._trace
        parent = _span_id(trace.parent.span_id) if trace.parent else b""
        root = self._span(own, trace.span_id, parent)
        if trace.link is not None:
            root.links.append(_link(trace.link))
        yield root
        yield from self._children(own, trace.span_id)

    def _children(self, parent: TraceSpan, parent_id: int) -> Iterator[otlp.Span]:
        for span in parent.children:
            self._next += 1
            span_id = self._trace.attempt_id(span.attempt or self._next)
            yield self._span(span, span_id, _span_id(parent_id))
            yield from self._children(span, span_id)

    def _span(self, span: TraceSpan, span_id: int, parent: bytes) -> otlp.Span:
        attributes = dict(span.attributes)
        status = None
        if span.error:
            attributes["error.type"] = span.error
            code = otlp.Status.STATUS_CODE_ERROR
            status = otlp.Status(code=code, message=redact(span.message))
        return otlp.Span(
            trace_id=self._trace_id,
            span_id=_span_id(span_id),
            parent_span_id=parent,
            name=span.name,
            # Both have the same numbers.
            kind=int(span.kind),  # type: ignore[arg-type]
            flags=int(self._trace.sampled),
            start_time_unix_nano=self._nanos(span.start),
            end_time_unix_nano=self._nanos(span.end),
            attributes=_attributes(attributes),
            status=status,
            events=[
                otlp.Span.Event(
                    name=event.name,
                    time_unix_nano=self._nanos(event.at),
                    attributes=_attributes(event.attributes),
                )
                for event in span.events
            ],
        )

    def _nanos(self, at: float) -> int:
        return int((at + self._offset) * 1e9)


def _resource() -> Resource:
    """What this process is."""
    return Resource(
        attributes=_attributes(
            {
                "service.name": settings.OTEL_SERVICE_NAME,
                "service.version": settings.SPECTACULAR_SETTINGS["VERSION"],
                "service.instance.id": f"{platform.node()}:{os.getpid()}",
            }
        )
    )


def _link(to: Parent) -> otlp.Span.Link:
    return otlp.Span.Link(
        trace_id=to.trace_id.to_bytes(16, "big"), span_id=_span_id(to.span_id)
    )


def _span_id(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _attributes(attributes: Attributes) -> list[KeyValue]:
    return [
        KeyValue(key=name, value=_value(value)) for name, value in attributes.items()
    ]


def _value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=str(value))
