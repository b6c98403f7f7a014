"""Sends the webhooks that are due, many at once."""

import asyncio
import threading
import time
from collections import Counter

import aiohttp
from asgiref.sync import async_to_sync, sync_to_async
from django.utils import timezone

from valuecanvas.core import failpoints
from valuecanvas.core.access.url_guard import OffLimits
from valuecanvas.core.crypto import UnreadableSecret
from valuecanvas.core.webhooks import deliveries
from valuecanvas.core.webhooks.deliveries import SendResult
from valuecanvas.core.webhooks.endpoints import GUARD
from valuecanvas.core.webhooks.models import WebhookDelivery
from valuecanvas.core.webhooks.signature import sign

MOST_AT_ONCE = 50
# For connecting, sending and the head of the answer; far less than a lease.
TIMEOUT_S = 15.0
# After this a run begins nothing more, so that a worker can stop.
RUN_S = 10.0
# How often it looks for more while some are under way.
LOOK_S = 0.25
# One run a process: others would take the threads of other tasks.
_RUNNING = threading.Lock()


def send_due() -> int:
    """Send what is due, unless this process does so already; the number of attempts."""
    if not _RUNNING.acquire(blocking=False):
        return 0
    try:
        return async_to_sync(_send_due)()
    finally:
        _RUNNING.release()


async def _send_due() -> int:
    stop_at = time.monotonic() + RUN_S
    attempts = 0
    # The owner of each attempt under way.
    running: dict[asyncio.Task[None], str] = {}
    async with _session() as session, asyncio.TaskGroup() as group:
        while True:
            if time.monotonic() < stop_at:
                for one in await _claim(running):
                    task = group.create_task(_deliver(session, one))
                    running[task] = one.endpoint.owner
                    task.add_done_callback(running.pop)
                    attempts += 1
            if not running:
                return attempts
            await asyncio.wait(running, timeout=LOOK_S)


async def _claim(running: dict[asyncio.Task[None], str]) -> list[WebhookDelivery]:
    counts = Counter(running.values())
    full = [one for one, count in counts.items() if count >= deliveries.MOST_PER_OWNER]
    return await sync_to_async(deliveries.claim_due)(MOST_AT_ONCE - len(running), full)


async def _deliver(session: aiohttp.ClientSession, delivery: WebhookDelivery) -> None:
    started = time.monotonic()
    status, error = await _post(session, delivery)
    failpoints.hit("webhook_sent")
    took_ms = round((time.monotonic() - started) * 1000)
    result = SendResult(error, status, took_ms)
    await sync_to_async(deliveries.record)(delivery, result)


async def _post(
    session: aiohttp.ClientSession, delivery: WebhookDelivery
) -> tuple[int | None, str]:
    """The status of the answer, and why it was not delivered."""
    now, body = timezone.now(), delivery.body.encode()
    try:
        secrets = delivery.endpoint.open_secrets(now)
        signed = sign(secrets, str(delivery.pk), body, timestamp=int(now.timestamp()))
        GUARD.require_https(delivery.endpoint.url)
        async with session.post(
            delivery.endpoint.url, data=body, headers=signed, allow_redirects=False
        ) as response:
            # Its body is not read: nobody needs it, and it may be endless.
            return response.status, _refusal(response.status)
    except UnreadableSecret:
        return None, "Its secret cannot be opened, FIELD_KEY was changed: rotate it."
    except OffLimits as error:
        return None, str(error)
    except TimeoutError:
        return None, f"It did not answer within {TIMEOUT_S:g} seconds."
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return None, _describe(error)


def _refusal(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"It answered {status}: redirects are not followed."
    return f"It answered {status}."


def _describe(error: Exception) -> str:
    cause = getattr(error, "os_error", None)
    if isinstance(cause, OffLimits):
        return str(cause)
    return f"It cannot be reached ({type(error).__name__})."


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, ttl_dns_cache=10, socket_factory=GUARD.open_socket
        ),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        headers={
            "Content-Type": "application/json",
            "User-Agent": "valuecanvas",
            "Accept-Encoding": "identity",
        },
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
