"""Liveness and readiness probes for Kubernetes and load balancers."""

import asyncio

import orjson
from django.core.handlers.asgi import ASGIRequest
from django.db import Error as DatabaseError
from drf_spectacular.utils import extend_schema, extend_schema_view

from billing.ledger import Probe
from llm.replies.http_responses import HotResponse, json_response
from llm.views.base import HotView, runtime
from valuecanvas.core.db.group_commit import BatchUnavailable

READY_WITHIN_S = 1.5


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
        body = {"status": "ok" if ready else "unavailable", "checks": checks}
        return json_response(orjson.dumps(body), status=200 if ready else 503)
