"""The metrics of this server, for Prometheus and for the admin."""

import asyncio
import gzip
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    REGISTRY,
    Metric,
    generate_latest,
)
from prometheus_client.openmetrics import exposition as openmetrics

from llm.replies.http_responses import HotResponse
from llm.views.base import HotView
from valuecanvas.core.access import monitor_access
from valuecanvas.core.admin.pages import refuse_unless
from valuecanvas.core.db.statement_timeout import limit_statements
from valuecanvas.core.telemetry.bounded_metrics import drop_unused_series
from valuecanvas.core.telemetry.database_metrics import scrape
from valuecanvas.core.telemetry.process_metrics import ProcessMetrics, add_up

MOST_AGE_S = 1.0
# A scraper does not wait longer for the database.
DATABASE_WITHIN_S = 2.0
# Between two metrics, the thread that renders them lets the event loop run.
PAUSE_S = 0.0001


class TextForm(NamedTuple):
    """How a scraper wants the text: with exemplars or as Prometheus' own, compressed or not."""

    open_metrics: bool = False
    compressed: bool = False

    @property
    def content_type(self) -> str:
        plain = CONTENT_TYPE_PLAIN_0_0_4
        return openmetrics.CONTENT_TYPE_LATEST if self.open_metrics else plain


PLAIN = TextForm()


class PacedMetrics:
    """Metrics, one after the other, so that rendering them does not hold up requests."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        for metric in self._metrics:
            yield metric
            time.sleep(PAUSE_S)


class MetricsText:
    """The metrics as text, rendered at most once in MOST_AGE_S for each form."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: dict[TextForm, tuple[float, bytes]] = {}
        # One thread for all scrapers that come at once.
        self._under_way: dict[TextForm, asyncio.Task[bytes]] = {}
        # Where several processes share this one's port.
        self.processes: ProcessMetrics | None = None

    def fresh(self, form: TextForm) -> bytes | None:
        """The cached text, unless it is too old."""
        due, text = self._texts.get(form, (0.0, b""))
        return text if time.monotonic() < due else None

    def read(self, form: TextForm = PLAIN) -> bytes:
        """The text, rendered if needed. May take long: call it in a thread."""
        with self._lock:
            found = self.fresh(form)
            if found is None:
                found = self._render(form)
                self._texts[form] = time.monotonic() + MOST_AGE_S, found
            return found

    async def wait(self, form: TextForm) -> bytes:
        """The text; rendered in a thread, once for all who wait for it."""
        found = self.fresh(form)
        if found is not None:
            return found
        task = self._under_way.get(form)
        if task is None or task.done():
            work = asyncio.to_thread(self.read_in_thread, form)
            task = self._under_way[form] = asyncio.create_task(work)
        return await asyncio.shield(task)

    def read_in_thread(self, form: TextForm) -> bytes:
        """The same for a new thread: closes its database connections."""
        try:
            with limit_statements(DATABASE_WITHIN_S):
                return self.read(form)
        finally:
            connections.close_all()

    def _render(self, form: TextForm) -> bytes:
        write: Callable[..., bytes] = generate_latest
        if form.open_metrics:
            write = openmetrics.generate_latest
        with scrape():
            found = write(PacedMetrics(self._collect()))
        return gzip.compress(found, compresslevel=1) if form.compressed else found

    def _collect(self) -> Iterable[Metric]:
        """The metrics of this process, or of all that share its port."""
        if self.processes is None:
            drop_unused_series()
            return REGISTRY.collect()
        own = list(PacedMetrics(REGISTRY.collect()).collect())
        others = self.processes.exchange(own)
        return (add_up(one, others) for one in own)


TEXT = MetricsText()


@extend_schema_view(get=extend_schema(exclude=True))
class Metrics(HotView):
    """The endpoint for Prometheus. It needs no slot of the cold path."""

    async def get(self, request: ASGIRequest) -> HotResponse:
        monitor_access.require(request)
        form = TextForm(
            "application/openmetrics-text" in request.headers.get("accept", ""),
            "gzip" in request.headers.get("accept-encoding", ""),
        )
        text = await TEXT.wait(form)
        headers = {
            "Content-Type": form.content_type,
            "Vary": "Accept, Accept-Encoding",
        }
        if form.compressed:
            headers["Content-Encoding"] = "gzip"
        return HotResponse(text, headers)


def page(request: HttpRequest) -> HttpResponse:
    """The metrics as a plain text page of the admin, for whoever may see the charts."""
    refuse_unless(request, "billing.view_usage")
    return HttpResponse(TEXT.read(), content_type="text/plain; charset=utf-8")
