"""The demo provider's reply to a request: one JSON body or a stream of events."""

from collections.abc import Iterable
from dataclasses import dataclass

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class DemoReply:
    """The body or, for a stream, its server-sent events before `DONE`."""

    model: str
    body: bytes = b""
    events: Iterable[bytes] | None = None


def sse(data: bytes) -> bytes:
    """`data` as a server-sent event."""
    return b"data: %b\n\n" % data


DONE = sse(b"[DONE]")
