"""The ASGI application: hot paths go to the lean handler, all others to Django."""

import asyncio
import gc
import multiprocessing
import os
import re
from typing import Any

import structlog
from django.conf import settings
from django.core.asgi import get_asgi_application

from valuecanvas.core.audit import audit_context

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "valuecanvas.settings")
django_application = get_asgi_application()

# The apps must be loaded before the gateway's modules.
from llm import runtime  # noqa: E402
from llm.runtime import Runtime  # noqa: E402
from valuecanvas.core.db.statement_timeout import limit_statements  # noqa: E402
from valuecanvas.core.telemetry.process_metrics import ProcessMetrics  # noqa: E402
from valuecanvas.http import hot, metrics_view, paths  # noqa: E402
from valuecanvas.http.cold_path import ColdPath  # noqa: E402
from valuecanvas.http.hot_body import Receive  # noqa: E402
from valuecanvas.http.protocol.write_timeout import Send  # noqa: E402
from valuecanvas.http.shutdown import Shutdown  # noqa: E402

# Clients fetch prompts on the hot path; the rest of /api/prompts/ is on the cold path.
HOT = re.compile(r"/(?:v1|api/llm|ofrep|health)/|/metrics\Z|/api/prompts/[^/]+/fetch\Z")
log = structlog.get_logger("web")
audit_context.name_process("web server", audit_context.ActorKind.SYSTEM)
# New objects before a collection, and collections before one of the next generation.
GC_THRESHOLDS = (10_000, 20, 20)


class Application:
    """One per process. Builds the gateway's runtime on its event loop, at start-up."""

    def __init__(self) -> None:
        self._runtime: Runtime | None = None
        self._starting = asyncio.Lock()
        self._shutdown = Shutdown(self._end_streams)
        self._cold = ColdPath(django_application)  # type: ignore[arg-type]
        self._processes: ProcessMetrics | None = None

    async def __call__(
        self, scope: dict[str, Any], receive: Receive, send: Send
    ) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] == "websocket":
            # Not accepted, so the server answers 403.
            await send({"type": "websocket.close"})
            return
        path = paths.canonical(scope["path"])
        if path != scope["path"]:
            scope = {**scope, "path": path, "raw_path": path.encode()}
        if scope["type"] == "http" and HOT.match(path):
            scope["valuecanvas.draining"] = self._shutdown.draining
            scope["valuecanvas.runtime"] = self._runtime or await self._get_runtime()
            await hot.handle(scope, receive, send)
        else:
            # A page has a statement timeout; a command may wait without one.
            with limit_statements(settings.DB_PAGE_TIMEOUT_S):
                await self._cold.handle(scope, receive, send)

    async def _get_runtime(self) -> Runtime:
        async with self._starting:
            if self._runtime is None:
                self._runtime = await runtime.start()
        return self._runtime

    def _share_metrics(self) -> None:
        """With --workers, uvicorn's processes share a port: any of them is scraped."""
        if multiprocessing.parent_process() is None:
            return
        try:
            self._processes = ProcessMetrics(settings.VAR_DIR / "metrics")
        except OSError as error:
            log.warning("metrics.of_one_process", error=str(error))
            return
        self._processes.start()
        metrics_view.TEXT.processes = self._processes

    def _end_streams(self) -> int:
        if self._runtime is None:
            return 0
        watched = self._runtime.job_watch.end_all()
        return watched + self._runtime.pipeline.end_streams()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._get_runtime()
                self._shutdown.install()
                self._share_metrics()
                _settle_heap()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                if self._runtime is not None:
                    await self._runtime.stop()
                    self._runtime = None
                if self._processes is not None:
                    await self._processes.stop()
                    self._processes.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _settle_heap() -> None:
    """Exclude objects from the start-up from garbage collection: they stay for good.

    Else requests would be delayed by collections of Django's modules.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


application = Application()
