"""How each kind of receiver is asked, and how its answer is read.

Secrets are put in here, at sending: no stored message has one.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime

import aiohttp
import orjson
from django.conf import settings

from valuecanvas.core.webhooks.models import EndpointKind, WebhookDelivery
from valuecanvas.core.webhooks.signature import sign

# The most of an answer that is read.
MOST_ANSWER_BYTES = 200
# A receiver that asks for a longer wait does not get it.
MOST_WAIT_S = 3600
TOO_MANY = 429
# Errors of the caller that pass: a timeout, and too many.
PASSING = (408, TOO_MANY)
# Slack's errors are words such as 'no_service'. Anything else is not repeated.
_WORD = re.compile(rb"[a-z_]{2,40}")


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted. Its `repr` shows nothing: URL and body may have a secret."""

    url: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class SendAnswer:
    """How an attempt ended. Without an error it was delivered; `final`: do not retry."""

    error: str = ""
    status: int | None = None
    final: bool = False
    retry_after_s: int = 0


def make_message(delivery: WebhookDelivery, now: datetime) -> Message:
    """The message with the secret of its endpoint. Raises crypto.UnreadableSecret."""
    endpoint, body = delivery.endpoint, delivery.body.encode()
    if endpoint.kind == EndpointKind.SLACK:
        return Message(endpoint.open_secret(), body)
    if endpoint.kind == EndpointKind.PAGERDUTY:
        keyed = {"routing_key": endpoint.open_secret(), **orjson.loads(body)}
        return Message(f"{settings.PAGERDUTY_URL}/v2/enqueue", orjson.dumps(keyed))
    signed = sign(
        endpoint.open_secrets(now),
        str(delivery.pk),
        body,
        timestamp=int(now.timestamp()),
    )
    return Message(endpoint.url, body, signed)


async def read_answer(kind: str, response: aiohttp.ClientResponse) -> SendAnswer:
    """Whether the receiver took the message, and whether to try again."""
    status, text = response.status, b""
    if kind == EndpointKind.SLACK:
        text = await response.content.read(MOST_ANSWER_BYTES)
    error = _error(kind, status, text)
    is_final = 400 <= status < 500 and status not in PASSING
    return SendAnswer(
        error,
        status,
        final=bool(error) and kind != EndpointKind.STANDARD and is_final,
        retry_after_s=_retry_after(response) if error else 0,
    )


def _error(kind: str, status: int, text: bytes) -> str:
    if 300 <= status < 400:
        return f"It answered {status}: redirects are not followed."
    if kind == EndpointKind.SLACK:
        if status == 200 and text == b"ok":
            return ""
        word = _WORD.fullmatch(text.strip())
        return f"It answered {status}{f' ({word[0].decode()})' if word else ''}."
    if 200 <= status < 300:
        return ""
    if kind == EndpointKind.PAGERDUTY and status == 400:
        return "It answered 400: the integration key or the event is not valid."
    return f"It answered {status}."


def _retry_after(response: aiohttp.ClientResponse) -> int:
    """The seconds that a receiver asks for; a date is left to our own back-off."""
    asked = response.headers.get("Retry-After", "")
    return min(int(asked), MOST_WAIT_S) if asked.isascii() and asked.isdigit() else 0
