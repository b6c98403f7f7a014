"""What is recorded of a trace, which ones are kept, and how they are sent."""

import os
import time
from collections.abc import Iterator

import pytest
from pytest_django import Settings
from structlog.testing import capture_logs

from tests.otlp import Collector, running_collector
from valuecanvas.core.errors import InvalidRequest, Unavailable
from valuecanvas.core.ids import uuid7
from valuecanvas.core.metrics import TRACES_DROPPED
from valuecanvas.core.telemetry import span_export, traces
from valuecanvas.core.telemetry.traces import Kind, Parent, Trace, TraceSpan
from valuecanvas.embedded.processes import free_port

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def collector(settings: Settings) -> Iterator[Collector]:
    with running_collector() as running:
        settings.OTEL_EXPORTER_OTLP_ENDPOINT = running.url
        settings.TRACE_SAMPLE_RATIO = 1.0
        yield running
        traces.close()


def record(name: str = "work", parent: Parent | None = None) -> Trace:
    with traces.start(name, Kind.SERVER, uuid7().int, parent=parent) as trace:
        assert trace is not None
        trace.enter("first")
        trace.enter("second")
        trace.leave()
    return trace


def dropped(reason: str) -> float:
    [metric] = TRACES_DROPPED.collect()
    values = {
        one.labels["reason"]: one.value
        for one in metric.samples
        if one.name.endswith("total")
    }
    return values.get(reason, 0.0)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (PARENT, (TRACE_ID, "b7ad6b7169203331", True)),
        (PARENT.removesuffix("1") + "0", (TRACE_ID, "b7ad6b7169203331", False)),
        # A later version may have more fields, and the first one may not.
        (f"01{PARENT[2:]}-more", (TRACE_ID, "b7ad6b7169203331", True)),
        (f"{PARENT}-more", None),
        (f"ff{PARENT[2:]}", None),
        (PARENT.upper(), None),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", None),
        (f"00-{TRACE_ID}-{'0' * 16}-01", None),
        ("", None),
        ("a" * 5000, None),
    ],
)
def test_parse_parent__each_form__is_taken_or_left(
    header: str, expected: tuple[str, str, bool] | None
) -> None:
    found = traces.parse_parent(header)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert f"{found.trace_id:032x}" == expected[0]
        assert f"{found.span_id:016x}" == expected[1]
        assert found.sampled is expected[2]


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.5, 1.0])
def test_is_sampled__many_request_ids__is_the_share_asked_for(
    settings: Settings, ratio: float
) -> None:
    settings.TRACE_SAMPLE_RATIO = ratio
    found = sum(traces.is_sampled(uuid7().int) for _ in range(5000)) / 5000
    # Five standard deviations.
    assert abs(found - ratio) <= 5 * (ratio * (1 - ratio) / 5000) ** 0.5


def test_start__without_a_collector__makes_no_trace() -> None:
    with traces.start("work", Kind.SERVER, 1) as trace:
        assert trace is None
        assert traces.current() is None
        assert traces.current_trace_id() == traces.current_traceparent() == ""
    traces.close()


def test_trace__kept__comes_whole_with_its_resource(collector: Collector) -> None:
    with traces.start("work", Kind.SERVER, uuid7().int) as trace:
        assert trace is not None
        assert traces.current_trace_id() == trace.id
        assert traces.current_traceparent() == f"00-{trace.id}-{trace.span_id:016x}-01"
        trace.enter("first")
        trace.enter("second")
        trace.leave("bad_input")
        trace.describe(lambda: {"text": "a", "flag": True, "count": 3, "share": 0.5})
        now = time.monotonic()
        inner = TraceSpan("inner", now, now, message="why", error="broken", attempt=2)
        trace.add(lambda: [TraceSpan("outer", now, now + 1, children=[inner])])
    assert traces.current() is None
    came = collector.trace(trace.id)
    assert came.names == ["work", "first", "second", "outer", "inner"]
    assert came.root.kind == "SERVER"
    assert came.root.attributes == {"text": "a", "flag": True, "count": 3, "share": 0.5}
    assert came.root.resource["service.name"] == "valuecanvas"
    assert str(os.getpid()) in came.root.resource["service.instance.id"]
    first, second, inner_span = map(came.one, ("first", "second", "inner"))
    assert first.span.end_time_unix_nano == second.span.start_time_unix_nano
    assert (first.failed, second.failed) == (False, True)
    assert second.attributes["error.type"] == "bad_input"
    assert inner_span.span.status.message == "why"
    assert int.from_bytes(inner_span.span.span_id, "big") == trace.attempt_id(2)
    assert came.children(came.one("outer")) == [inner_span]
    assert abs(came.root.span.start_time_unix_nano / 1e9 - time.time()) < 60


@pytest.mark.parametrize(
    ("flags", "error", "slow", "kept"),
    [
        ("01", None, False, True),
        ("00", None, False, False),
        ("00", Unavailable("down"), False, True),
        ("00", ValueError("a bug"), False, True),
        # A caller's own fault.
        ("00", InvalidRequest("bad"), False, False),
        ("00", None, True, True),
    ],
)
def test_trace__of_a_caller__is_kept_if_sampled_failed_or_slow(
    collector: Collector,
    settings: Settings,
    flags: str,
    error: Exception | None,
    slow: bool,
    kept: bool,
) -> None:
    trace_id = uuid7().hex
    parent = traces.parse_parent(f"00-{trace_id}-b7ad6b7169203331-{flags}")
    settings.TRACE_SLOW_S = 0.0 if slow else 3600
    try:
        with traces.start("work", Kind.SERVER, 1, parent=parent):
            if error is not None:
                raise error
    except (Unavailable, ValueError, InvalidRequest):
        pass
    traces.close()
    assert collector.trace_ids() == ({trace_id} if kept else set())
    if kept:
        root = collector.trace(trace_id).root
        assert root.span.parent_span_id.hex() == "b7ad6b7169203331"
        assert root.failed is (error is not None)


def test_trace__with_a_link__names_the_other(collector: Collector) -> None:
    other = traces.parse_parent(PARENT)
    with traces.start("work", Kind.CONSUMER, uuid7().int, link=other) as trace:
        assert trace is not None
    [link] = collector.trace(trace.id).root.span.links
    assert (link.trace_id.hex(), link.span_id.hex()) == (TRACE_ID, "b7ad6b7169203331")


def test_trace__that_cannot_be_made__fails_no_request(collector: Collector) -> None:
    with (
        capture_logs() as lines,
        traces.start("work", Kind.SERVER, uuid7().int) as trace,
    ):
        assert trace is not None
        trace.describe(lambda: {"a": 1 // 0})
    assert [one["event"] for one in lines] == ["trace.unfit"]


def test_export__headers_of_the_operator__are_sent(
    collector: Collector, settings: Settings
) -> None:
    settings.OTEL_EXPORTER_OTLP_HEADERS = {"x-api-key": "k"}
    collector.trace(record().id)
    assert collector.headers[0]["x-api-key"] == "k"


def test_export__collector_that_fails_then_works__is_logged_once_each(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(span_export, "EVERY_S", 0.01)
    collector.answer = 500
    before = dropped("collector")
    with capture_logs() as lines:
        for _ in range(3):
            collector.trace(record().id)
        collector.answer = 200
        collector.trace(record().id)
        traces.close()
    assert dropped("collector") == before + 3
    assert [(one["up"], one["problem"]) for one in lines] == [
        (False, "it answered 500"),
        (True, ""),
    ]


def test_export__nobody_listens__drops_counts_and_ends_in_time(
    collector: Collector, settings: Settings
) -> None:
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = f"http://127.0.0.1:{free_port()}"
    before = dropped("collector")
    with capture_logs() as lines:
        for _ in range(120):
            record()
        traces.close()
    assert dropped("collector") == before + 120
    assert [one["problem"] for one in lines] == ["ConnectError"]


def test_export__slow_collector__lets_no_more_than_its_bound_wait(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(span_export, "MOST_WAITING", 10)
    collector.delay_s = 0.5
    before = dropped("queue_full")
    started = time.monotonic()
    for _ in range(30):
        record()
    assert time.monotonic() - started < 0.5
    assert dropped("queue_full") == before + 20


def test_export__an_attribute_that_does_not_fit__drops_it_and_goes_on(
    collector: Collector,
) -> None:
    before = dropped("unfit")
    with capture_logs() as lines:
        with traces.start("work", Kind.SERVER, uuid7().int) as trace:
            assert trace is not None
            trace.describe(lambda: {"huge": 2**70})
        traces.close()
    assert [one["event"] for one in lines] == ["traces.unfit"]
    assert dropped("unfit") == before + 1
    collector.trace(record().id)


def test_export__after_a_fork__starts_a_thread_of_its_own(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = span_export.SpanExport()
    monkeypatch.setattr(traces, "exporter", lambda: exporter)
    # What a thread imports when it first sends is locked in a child made meanwhile.
    first = record().id
    exporter.close()
    assert collector.trace_ids() == {first}
    monkeypatch.setattr(span_export, "EVERY_S", 3600)
    record()
    child = os.fork()
    if child == 0:
        name = "failed"
        try:
            record("of the child")
            exporter.close()
            name = "done"
        finally:
            os._exit(0 if name == "done" else 1)
    assert os.waitpid(child, 0)[1] == 0
    [trace_id] = collector.trace_ids() - {first}
    assert collector.trace(trace_id).names[0] == "of the child"
    exporter.close()
    assert len(collector.trace_ids()) == 3


@pytest.mark.parametrize(
    ("template", "trace_id", "url"),
    [
        ("https://j.example/trace/{trace_id}", "ab", "https://j.example/trace/ab"),
        ("https://j.example/{trace_id}", "a/b", "https://j.example/a%2Fb"),
        ("https://j.example/trace/{trace_id}", "", ""),
        ("", "ab", ""),
    ],
)
def test_trace_url__template_and_id__make_a_link(
    settings: Settings, template: str, trace_id: str, url: str
) -> None:
    settings.TRACE_URL = template
    assert traces.trace_url(trace_id) == url
