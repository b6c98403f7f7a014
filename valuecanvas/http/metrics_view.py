"""The metrics of this process, for Prometheus and for the admin."""

import asyncio
import threading
import time

from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from llm.replies.http_responses import HotResponse
from llm.views.base import HotView
from valuecanvas.core.access import monitor_access
from valuecanvas.core.db.statement_timeout import limit_statements

MOST_AGE_S = 1.0
# A scraper does not wait longer for the database.
DATABASE_WITHIN_S = 2.0


class MetricsText:
    """The metrics as text, rendered at most once in MOST_AGE_S."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._text = b""
        self._due = 0.0

    def fresh(self) -> bytes | None:
        """The cached text, unless it is too old."""
        return self._text if time.monotonic() < self._due else None

    def read(self) -> bytes:
        """The text, rendered if needed. May take long: call it in a thread."""
        with self._lock:
            found = self.fresh()
            if found is None:
                found = self._text = generate_latest(REGISTRY)
                self._due = time.monotonic() + MOST_AGE_S
            return found

    def read_in_thread(self) -> bytes:
        """The same for a new thread: closes its database connections."""
        try:
            with limit_statements(DATABASE_WITHIN_S):
                return self.read()
        finally:
            connections.close_all()


TEXT = MetricsText()


@extend_schema_view(get=extend_schema(exclude=True))
class Metrics(HotView):
    """The endpoint for Prometheus. It needs no slot of the cold path."""

    async def get(self, request: ASGIRequest) -> HotResponse:
        monitor_access.require(request)
        text = TEXT.fresh()
        if text is None:
            text = await asyncio.to_thread(TEXT.read_in_thread)
        return HotResponse(text, {"Content-Type": CONTENT_TYPE_LATEST})


def page(request: HttpRequest) -> HttpResponse:
    """The metrics as a plain text page of the admin."""
    return HttpResponse(TEXT.read(), content_type="text/plain; charset=utf-8")
