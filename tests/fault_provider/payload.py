"""The payload of an answer: one JSON body or a stream of framed events."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.fault_provider.behaviours import Behaviour

# One event, ready for the socket, and the completion tokens it carries.
Frame = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class Whole:
    """A JSON body with all its tokens."""

    body: bytes
    tokens: int
    usage: dict[str, Any] | None


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
    usage: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class FaultReply:
    """The answer to a request, with the values that the server counts."""

    model: str
    prompt_tokens: int
    behaviour: Behaviour
    payload: Whole | Stream


def frame_chunk(event: bytes) -> bytes:
    """`event` as one HTTP chunk, ready for the socket."""
    return b"%x\r\n%b\r\n" % (len(event), event)


def sse(data: bytes, *, name: bytes = b"") -> bytes:
    """`data` as a framed server-sent event."""
    line = b"event: %b\n" % name if name else b""
    return frame_chunk(b"%bdata: %b\n\n" % (line, data))


DONE = sse(b"[DONE]")
