"""The seam between the relay and the wire formats of the endpoints."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import Any

from llm.cache.assembly import Assembly
from llm.types import Candidate, Held


class Malformed(Exception):
    """The provider's reply is not what the endpoint promises."""


class Sort(Enum):
    """What a stream event means for the relay."""

    HELD = "held"  # before the first content: kept back, so that we can fail over
    CONTENT = "content"
    PASS = "pass"  # noqa: S105 - to be passed on, nothing to count
    DROP = "drop"
    ERROR = "error"
    DONE = "done"


@dataclass(slots=True)
class Piece:
    """One stream event as the client is to see it."""

    sort: Sort
    out: bytes = b""
    error: dict[str, Any] | None = None
    # True for the event that only tells the usage: not every listener wants it.
    usage: bool = False


@dataclass(frozen=True, slots=True)
class Whole:
    """One whole answer as the client is to see it."""

    body: bytes
    usage: Any
    # UTF-8 bytes of generated text, for our own count.
    size: int
    # Ended of its own accord, not by a limit or a filter: fit to be stored.
    natural: bool


class StreamReader(ABC):
    """Reads one provider stream. Counts as it goes; `usage` is what the provider said."""

    usage: Any = None
    size: int = 0
    pieces: int = 0
    finished: bool = False
    # Set where the whole answer is wanted as well as its parts.
    assembly: Assembly | None = None

    @abstractmethod
    def read(self, raw: bytes, payload: bytes) -> Piece:
        """One event: its bytes with the blank line, and its data. Raises Malformed."""

    def ending(self) -> bytes:
        """What the client gets after the settlement, before the end."""
        return b""

    @abstractmethod
    def failed(self, error: dict[str, Any]) -> bytes:
        """The in-band error, after content was sent."""


class Dialect(ABC):
    """How one endpoint is spoken to one provider."""

    path: str

    @abstractmethod
    def body(self, held: Held, candidate: Candidate) -> dict[str, Any]:
        """The body to send upstream."""

    @abstractmethod
    def whole(self, held: Held, parsed: dict[str, Any], raw: bytes) -> Whole:
        """Read an answer that is not streamed. Raises Malformed."""

    def reader(self, held: Held) -> StreamReader:
        """A reader for a streamed answer."""
        raise Malformed("This endpoint does not stream.")
