"""Liveness and readiness probes for Kubernetes and load balancers."""

import asyncio
import time
from contextlib import suppress

import orjson
from django.core.handlers.asgi import ASGIRequest
from django.db import Error as DatabaseError
from django.db import connections
from drf_spectacular.utils import extend_schema, extend_schema_view

from billing.ledger import Probe
from llm.replies.http_responses import HotResponse, json_response
from llm.views.base import HotView, runtime
from valuecanvas.backups import history
from valuecanvas.core.db.group_commit import BatchUnavailable
from valuecanvas.core.db.statement_timeout import limit_statements

READY_WITHIN_S = 1.5
BACKUP_EVERY_S = 60.0
BACKUP_WITHIN_S = 0.5


class BackupCheck:
    """Whether there is a fresh verified backup, read at most once in BACKUP_EVERY_S."""

    def __init__(self) -> None:
        self._text = "unknown"
        self._due = 0.0

    async def text(self) -> str:
        """'ok', or what is wrong. A slow database does not delay the probe."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + BACKUP_EVERY_S
            with suppress(TimeoutError, DatabaseError):
                async with asyncio.timeout(BACKUP_WITHIN_S):
                    await asyncio.to_thread(self._read)
        return self._text

    def _read(self) -> None:
        try:
            with limit_statements(BACKUP_WITHIN_S):
                found = history.status()
        finally:
            connections.close_all()
        self._text = "ok" if found.ok else found.text


BACKUPS = BackupCheck()


@extend_schema_view(get=extend_schema(exclude=True))
class Live(HotView):
    """Liveness: this process runs. It checks no database, Redis or provider."""

    async def get(self, request: ASGIRequest) -> HotResponse:
        return json_response(b'{"status":"ok"}')


@extend_schema_view(get=extend_schema(exclude=True))
class Ready(HotView):
    """Readiness: the ledger can be written and the configuration is loaded."""

    async def get(self, request: ASGIRequest) -> HotResponse:
        of = runtime(request)
        if request.scope.get("valuecanvas.draining"):
            return json_response(b'{"status":"draining"}', status=503)
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                epoch = await of.ledger.put(Probe())
                await of.config.refresh(epoch)
            database = "ok" if of.ledger.writable else "unavailable"
        except (TimeoutError, BatchUnavailable, DatabaseError):
            database = "unavailable"
        checks = {"database": database, "redis": "ok" if of.store.up else "passed by"}
        ready = database == "ok"
        if ready:
            # An overdue backup needs people, not another process.
            checks["backup"] = await BACKUPS.text()
        body = {"status": "ok" if ready else "unavailable", "checks": checks}
        return json_response(orjson.dumps(body), status=200 if ready else 503)
