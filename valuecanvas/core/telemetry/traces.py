"""Traces: what a request or a job did, and how long each step took.

Most traces are dropped, and whether one failed or was slow is known only at its end. So a
trace gathers times, and functions for the rest; only one that is kept makes its spans,
which a thread of its own sends to a collector: see span_export.py.
"""

import random
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from enum import IntEnum
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import quote

import structlog
from django.apps import apps
from django.conf import settings

from valuecanvas.core.errors import GatewayError
from valuecanvas.core.telemetry import request_context

log = structlog.get_logger("traces")
Attributes = Mapping[str, Any]

_TRACEPARENT = re.compile(
    r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_SAMPLED = 1
# The bits of a trace id that are random, by W3C Trace Context Level 2: the last 56.
_RANDOM = 1 << 56
OFF: AbstractContextManager[None] = nullcontext()


class Kind(IntEnum):
    """The kinds of a span, with OTLP's numbers."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    CONSUMER = 5


@dataclass(frozen=True, slots=True)
class Parent:
    """A span of another trace or process, as a traceparent header names it."""

    trace_id: int
    span_id: int
    sampled: bool


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """A moment within a span; `at` is of the monotonic clock, in seconds."""

    name: str
    at: float
    attributes: Attributes = field(default_factory=dict)


@dataclass(slots=True)
class TraceSpan:
    """A timed part of a trace; times are of the monotonic clock, in seconds."""

    name: str
    start: float
    end: float
    kind: Kind = Kind.INTERNAL
    attributes: Attributes = field(default_factory=dict)
    # The kind of error that ended it, and a text that says more, without callers' words.
    error: str = ""
    message: str = ""
    events: Sequence[SpanEvent] = ()
    children: Sequence["TraceSpan"] = ()
    # Of an attempt: a provider may have been sent its id, see `Trace.attempt_id`.
    attempt: int = 0


class Exporter(Protocol):
    """What sends finished traces, see span_export.py."""

    def start(self) -> None: ...

    def add(self, trace: "Trace", root: TraceSpan) -> None: ...

    def close(self) -> None: ...


class Trace:
    """One request or job, from `with trace:` to the end of that block."""

    __slots__ = (
        "_described", "_later", "_steps", "_token", "answered_at", "error", "id", "kind",
        "link", "name", "parent", "sampled", "span_id", "start", "trace_id",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        kind: Kind,
        trace_id: int,
        parent: Parent | None = None,
        link: Parent | None = None,
    ) -> None:
        self.name, self.kind = name, kind
        self.trace_id = parent.trace_id if parent else trace_id
        self.id = f"{self.trace_id:032x}"
        self.parent, self.link = parent, link
        self.sampled = parent.sampled if parent else is_sampled(trace_id)
        # Odd, and with room above for the ids of the other spans. Nothing secret.
        self.span_id = random.getrandbits(63) | 1
        self.start = time.monotonic()
        # When the answer began, which says whether it was slow.
        self.answered_at: float | None = None
        # What failed, if it did: then the trace is kept.
        self.error = ""
        self._steps: list[tuple[str, float, str]] = []
        self._described: list[Callable[[], Attributes]] = []
        self._later: list[Callable[[], Iterable[TraceSpan]]] = []
        self._token: Token[Trace | None] | None = None

    def enter(self, step: str) -> None:
        """Begin a step, and end the one before."""
        self._steps.append((step, time.monotonic(), ""))

    def leave(self, error: str = "") -> None:
        """End the step, with what failed in it, if anything did."""
        self._steps.append(("", time.monotonic(), error))

    @property
    def left_at(self) -> float:
        """When the last step began or ended."""
        return self._steps[-1][1] if self._steps else self.start

    def describe(self, attributes: Callable[[], Attributes]) -> None:
        """Add attributes, which are computed only if the trace is kept."""
        self._described.append(attributes)

    def add(self, spans: Callable[[], Iterable[TraceSpan]]) -> None:
        """Add spans, which are made only if the trace is kept."""
        self._later.append(spans)

    def attempt_id(self, number: int) -> int:
        """The id of the span for this attempt to call a provider; the first one is 1."""
        return self.span_id + number

    def is_kept(self) -> bool:
        """Whether the trace is exported, by what is known so far."""
        waited = (self.answered_at or time.monotonic()) - self.start
        return self.sampled or bool(self.error) or waited >= settings.TRACE_SLOW_S

    def traceparent(self, span_id: int) -> str:
        """The W3C header that makes a span of this trace the parent of another one."""
        return f"00-{self.id}-{span_id:016x}-{int(self.sampled):02x}"

    def __enter__(self) -> "Trace":
        self._token = _CURRENT.set(self)
        request_context.add(trace_id=self.id)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            _CURRENT.reset(self._token)
        # A refusal is the caller's own fault.
        refused = isinstance(error, GatewayError) and error.status < 500
        if isinstance(error, Exception) and not refused:
            self.error = self.error or type(error).__name__
        try:
            if self.is_kept():
                exporter().add(self, self._make_root())
        except Exception:
            # A request that was served must not fail for its trace.
            log.exception("trace.unfit", trace_id=self.id)
        # Connections that were opened here outlive it, and keep a reference to it.
        for gathered in (self._described, self._later, self._steps):
            gathered.clear()

    def _make_root(self) -> TraceSpan:
        attributes: dict[str, Any] = {}
        for describe in self._described:
            attributes.update(describe())
        children = [*self._step_spans()]
        for make in self._later:
            children += make()
        return TraceSpan(
            self.name,
            self.start,
            time.monotonic(),
            self.kind,
            attributes,
            error=self.error,
            children=children,
        )

    def _step_spans(self) -> Iterable[TraceSpan]:
        ends = [*self._steps[1:], ("", time.monotonic(), "")]
        for (name, start, _), (_, end, error) in zip(self._steps, ends, strict=False):
            if name:
                yield TraceSpan(str(name), start, end, error=error)


_CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)
# The trace of the running request or job; None outside of one, and where traces are off.
current = _CURRENT.get


def are_on() -> bool:
    """Whether traces go to a collector."""
    return bool(settings.OTEL_EXPORTER_OTLP_ENDPOINT)


def start(
    name: str,
    kind: Kind,
    trace_id: int,
    *,
    parent: Parent | None = None,
    link: Parent | None = None,
) -> AbstractContextManager[Trace | None]:
    """A trace of the block, with this id unless it has a parent; None if traces are off."""
    if not are_on():
        return OFF
    return Trace(name, kind, trace_id, parent, link)


def exporter() -> Exporter:
    """The process's exporter; the app's configuration owns it."""
    # Typed as any app's configuration, which has no exporter.
    found: Exporter = apps.get_app_config("core").span_export  # type: ignore[attr-defined]
    return found


def prepare() -> None:
    """Import the exporter and start its thread, so that no request waits for that."""
    if are_on():
        exporter().start()


def close() -> None:
    """Send what waits; called when the process ends."""
    if are_on():
        exporter().close()


def current_trace_id() -> str:
    """The id of the running request's trace, in hexadecimal; '' without one."""
    trace = current()
    return trace.id if trace is not None else ""


def current_traceparent() -> str:
    """The W3C header that names the running request as the parent; '' without one."""
    trace = current()
    return trace.traceparent(trace.span_id) if trace is not None else ""


def parse_parent(text: str) -> Parent | None:
    """The span that a W3C traceparent header names; None if it is malformed."""
    match = _TRACEPARENT.fullmatch(text)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    # Later versions may add fields; the first one has none, and ff is none.
    known = version == "00" and not more
    parent = Parent(
        int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & _SAMPLED)
    )
    valid = parent.trace_id and parent.span_id and version != "ff"
    return parent if valid and (known or version != "00") else None


def is_sampled(trace_id: int) -> bool:
    """Whether a trace that begins here is one of TRACE_SAMPLE_RATIO."""
    share: float = settings.TRACE_SAMPLE_RATIO
    return trace_id % _RANDOM < share * _RANDOM


def trace_url(trace_id: str) -> str:
    """Where an operator sees the trace; '' without TRACE_URL or without an id."""
    if not (trace_id and settings.TRACE_URL):
        return ""
    return str(settings.TRACE_URL).replace("{trace_id}", quote(trace_id, safe=""))
