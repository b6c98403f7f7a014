"""The gateway with one more door: GET /_held says what its process holds (I8).

uvicorn tests.faults.inside:application
"""

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import orjson
import psutil
from django.conf import settings

from valuecanvas.asgi import application as gateway

PATH = "/_held"
# Bounded by Python, and started when a name is first looked up.
POOLED = ("asyncio_", "uvloop_", "ThreadPoolExecutor-")


def held(port: int) -> dict[str, int]:
    """Counts of what can leak, and the memory in KiB. `port` is the process's own."""
    process = psutil.Process()
    links = [
        os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
    ]
    names = [thread.name for thread in threading.enumerate()]
    far = [one.raddr.port for one in process.net_connections("tcp") if one.raddr]
    near = [one.laddr.port for one in process.net_connections("tcp") if one.raddr]
    runtime = gateway._runtime
    connector: Any = runtime.pool.connector if runtime else None
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": sum(not name.startswith(POOLED) for name in names),
        "files": sum("socket:" not in link for link in links),
        "postgres": far.count(int(str(settings.DATABASES["default"]["PORT"]))),
        "redis": far.count(urlsplit(settings.REDIS_URL).port or 6379),
        "clients": near.count(port),
        "upstream": len(connector._acquired) if connector else 0,
        "memory": process.memory_info().rss // 1024,
    }


def _admit_within(seconds: float) -> Callable[[], None]:
    return lambda: setattr(settings, "LLM_ADMIT_TIMEOUT_S", seconds)


# Further doors, by path: what is done there.
doors: dict[str, Callable[[], None]] = {
    # For cases in which nobody may be refused because the machine is busy.
    "/_patience/on": _admit_within(60.0),
    "/_patience/off": _admit_within(settings.LLM_ADMIT_TIMEOUT_S),
}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    path = scope.get("path")
    if path in doors:
        doors[path]()
    elif path != PATH:
        await gateway(scope, receive, send)
        return
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    body = orjson.dumps(held(scope["server"][1]))
    await send({"type": "http.response.body", "body": body})
