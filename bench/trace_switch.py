"""The gateway with a switch for its trace of refusals, for bench.refusals.

GET /bench/trace/off leaves only the count of refusals; GET /bench/trace/on is as in
production. One worker.
"""

from typing import Any

from bench.plan import TRACE_SWITCH
from valuecanvas.asgi import application as gateway

# After the apps are loaded, by the import above.
from llm.admission import refusal_trace  # isort: skip
from llm.admission.refusal_trace import Progress, RefusalTrace  # isort: skip
from valuecanvas.core.errors import GatewayError  # isort: skip

_NOTE = RefusalTrace.note


async def _count(self: RefusalTrace, progress: Progress, error: GatewayError) -> None:
    refusal_trace._count_once(progress.call, error)
    error.recorded = True


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http" or not scope["path"].startswith(TRACE_SWITCH):
        await gateway(scope, receive, send)
        return
    on = scope["path"] == f"{TRACE_SWITCH}on"
    # A method is replaced on purpose, for the whole process.
    RefusalTrace.note = _NOTE if on else _count  # type: ignore[method-assign]
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
