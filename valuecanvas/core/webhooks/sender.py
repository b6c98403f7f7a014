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
from valuecanvas.core.webhooks import deliveries, email, kinds
from valuecanvas.core.webhooks.deliveries import SendResult
from valuecanvas.core.webhooks.endpoints import GUARD
from valuecanvas.core.webhooks.kinds import SendAnswer
from valuecanvas.core.webhooks.models import EndpointKind, WebhookDelivery

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
    failpoints.hit("webhook_claimed")
    answer = await _send(session, delivery)
    failpoints.hit("webhook_sent")
    took_ms = round((time.monotonic() - started) * 1000)
    result = SendResult(
        answer.error, answer.status, took_ms, answer.final, answer.retry_after_s
    )
    await sync_to_async(deliveries.record)(delivery, result)


async def _send(
    session: aiohttp.ClientSession, delivery: WebhookDelivery
) -> SendAnswer:
    """Make one attempt."""
    if delivery.endpoint.kind == EndpointKind.EMAIL:
        # It blocks, and needs no database.
        return await sync_to_async(email.send, thread_sensitive=False)(delivery)
    try:
        message = kinds.make_message(delivery, timezone.now())
        GUARD.require_https(message.url)
        async with session.post(
            message.url,
            data=message.body,
            headers=message.headers,
            allow_redirects=False,
        ) as response:
            return await kinds.read_answer(delivery.endpoint.kind, response)
    except UnreadableSecret:
        return SendAnswer(
            "Its secret cannot be opened, FIELD_KEY was changed: set it again, or "
            "rotate it."
        )
    except OffLimits as error:
        return SendAnswer(str(error))
    except TimeoutError:
        return SendAnswer(f"It did not answer within {TIMEOUT_S:g} seconds.")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return SendAnswer(_describe(error))


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
