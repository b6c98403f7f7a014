"""What takes long to write, /metrics and the schema, is written once for many."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer

from llm.runtime import Runtime
from tests.live.inside import Exchange
from valuecanvas.http import metrics_view
from valuecanvas.http.openapi import openapi_document

pytestmark = pytest.mark.live


class Slow:
    """Writes nothing until it is let, and counts how often it is asked."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        self.begun.set()
        assert self.go.wait(60)
        return b"text %d" % self.calls


def together(ask: Callable[[], Any], slow: Slow) -> list[Any]:
    """What eight threads are given, that all asked before there was an answer."""
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask) for _ in range(8)]
        assert slow.begun.wait(60)
        slow.go.set()
        return [one.result() for one in asked]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow()
    monkeypatch.setattr(metrics_view, "generate_latest", made)
    monkeypatch.setattr(metrics_view, "TEXT", metrics_view.MetricsText())
    return made


def test_metrics__asked_by_many_at_once__are_written_once(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_view, "MOST_AGE_S", 600)
    assert together(metrics_view.TEXT.read, slow) == [b"text 1"] * 8
    assert slow.calls == 1


def test_metrics__older_than_they_may_be__are_written_anew(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_view, "MOST_AGE_S", 0)
    slow.go.set()
    form = metrics_view.TextForm()
    texts = [metrics_view.TEXT.read(form) for _ in "12"]
    assert texts == [b"text 1", b"text 2"]


async def test_metrics__being_written__leave_the_event_loop_to_others(
    gateway: Runtime, slow: Slow
) -> None:
    scrape = Exchange(gateway, "/metrics", method="GET")
    scrape.scope["client"] = ("127.0.0.1", 1)
    task = scrape.start()
    assert await asyncio.to_thread(slow.begun.wait, 60)
    other = await Exchange(gateway, "/health/live", method="GET").run()
    assert (other.status, task.done()) == (200, False)
    slow.go.set()
    await task
    assert (scrape.answer.status, scrape.answer.body) == (200, b"text 1")


def test_schema__asked_by_many_at_once__is_made_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = Slow()
    monkeypatch.setattr(openapi_document, "_TEXTS", {})
    monkeypatch.setattr(openapi_document, "_document", slow)
    monkeypatch.setattr(OpenApiJsonRenderer, "render", lambda self, data: data)
    monkeypatch.setattr(OpenApiYamlRenderer, "render", lambda self, data: data)
    ask = lambda: openapi_document.text(OpenApiJsonRenderer)  # noqa: E731
    assert together(ask, slow) == [b"text 1"] * 8
    assert openapi_document.text(OpenApiYamlRenderer) == b"text 2"
