"""What is to be sent: one JSON body or a stream of framed events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from valuecanvas.embedded.demo_provider.usage import Usage


class Frame(NamedTuple):
    """One event, ready for the socket, and the completion tokens it carries."""

    data: bytes
    tokens: int


@dataclass(frozen=True, slots=True)
class Whole:
    """A JSON body with all its tokens."""

    body: bytes
    tokens: int
    usage: Usage | None


@dataclass(frozen=True, slots=True)
class Stream:
    """Server-sent events: `lead` frames without content, `content` frames, the rest.

    `half` is a frame with a broken JSON line; `error` is an in-band error.
    """

    frames: Iterable[Frame]
    lead: int
    content: int
    half: bytes
    error: bytes
    ending: bytes
    usage: Usage | None


Parcel = Whole | Stream


@dataclass(frozen=True, slots=True)
class Order:
    """A request understood: what the server needs to deliver and to keep book."""

    model: str
    prompt_tokens: int
    parcel: Parcel
    refereed: bool = True


def framed(event: bytes) -> bytes:
    """`event` as one HTTP chunk, so that it can go to the socket as it is."""
    return b"%x\r\n%b\r\n" % (len(event), event)


def sse(data: bytes) -> bytes:
    """`data` as a framed server-sent event."""
    return framed(b"data: %b\n\n" % data)


DONE = sse(b"[DONE]")
STREAM_ERROR = orjson.dumps(
    {
        "error": {
            "message": "The server had an error while processing your request. "
            "(demo provider)",
            "type": "server_error",
            "param": None,
            "code": None,
        }
    }
)
