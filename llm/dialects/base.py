"""The seam between the relay and the wire formats of the endpoints."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import orjson

from llm.cache.assembly import Assembly
from llm.cache.entry import Form
from llm.providers.base import Verdict
from llm.providers.error_body import is_error
from llm.types import AdmittedCall, Candidate
from llm.upstream.http import Failed
from valuecanvas.core.threads import LARGE_BYTES


class Malformed(Exception):
    """The provider's reply is not what the endpoint promises."""

    verdict = Verdict.FAILURE


class UnreadableReply(Malformed):
    """We cannot read or translate the reply: that says nothing against the provider."""

    verdict = Verdict.UNUSABLE


class ProviderError(Exception):
    """The provider's reply of status 200 is an error; `body` holds its words."""

    def __init__(self, body: Any) -> None:
        super().__init__("The reply is an error.")
        self.body = body


# What reading a reply of another form, or one too deep to be written again, ends in.
_UNREADABLE = (
    AttributeError,
    IndexError,
    KeyError,
    RecursionError,
    TypeError,
    ValueError,
)


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
    # The body that holds the provider's words.
    error: Any = None
    # The same for those who did not ask for the usage; None: as `out`.
    bare: bytes | None = None


class WholeReply(NamedTuple):
    """One whole answer as the client is to see it."""

    body: bytes
    usage: Any
    # UTF-8 bytes of generated text, for our own count.
    size: int
    # Ended of its own accord, not by a limit or a filter: fit to be stored.
    natural: bool
    # The generated texts, of which `size` is the sum.
    texts: tuple[str, ...] = ()
    # Cut by the provider's content filter, which tells nothing of its health.
    filtered: bool = False
    # In which forms it can be given to others.
    form: Form = Form.ANY


class StreamReader(ABC):
    """Reads one provider stream. Counts as it goes; `usage` is what the provider said."""

    usage: Any = None
    size: int = 0
    pieces: int = 0
    # Whether all that was asked for has come, as far as the provider said.
    finished: bool = False
    # Whether a content filter cut it.
    filtered: bool = False
    # Whether all that has ended did so of its own accord.
    natural: bool = True
    # Set where the whole answer is wanted as well as its parts.
    assembly: Assembly | None = None

    def read(self, raw: bytes, payload: bytes) -> Piece:
        """One event: its bytes with the blank line, and its data. Raises Malformed."""
        try:
            return self._read(raw, payload)
        except _UNREADABLE as error:
            raise UnreadableReply("A stream event has another form.") from error

    @abstractmethod
    def _read(self, raw: bytes, payload: bytes) -> Piece:
        """As `read`, for an event of the form that the endpoint promises."""

    def unsent_usage(self, usage: dict[str, int]) -> bytes:
        """The event of the `usage`, where it was asked for and the provider told none."""
        return b""

    def ending(self) -> bytes:
        """What the client gets after the settlement, before the end."""
        return b""

    @abstractmethod
    def error_event(self, error: dict[str, Any]) -> bytes:
        """The in-band error, after content was sent."""


class Dialect(ABC):
    """How one endpoint is spoken to one provider."""

    path: str
    # Where a reply has its answer.
    answer = "choices"
    # Bodies and replies with more bytes are read and written in a thread.
    most_on_loop = LARGE_BYTES

    @abstractmethod
    def body(self, held: AdmittedCall, candidate: Candidate) -> dict[str, Any]:
        """The body to send upstream."""

    def encode(self, held: AdmittedCall, candidate: Candidate) -> bytes:
        """The body as it is sent."""
        return orjson.dumps(self.body(held, candidate))

    def can_omit(
        self, held: AdmittedCall, candidate: Candidate, failed: Failed
    ) -> bool:
        """Was it refused for what we added ourselves? Then `body` leaves that out now."""
        return False

    def whole(self, held: AdmittedCall, parsed: Any, raw: bytes) -> WholeReply:
        """Read an answer that is not streamed. Raises Malformed, ProviderError."""
        if isinstance(parsed, list) and parsed and isinstance(parsed[0], dict):
            # Google wraps its errors in a list.
            parsed = parsed[0]
        if not isinstance(parsed, dict):
            raise Malformed("The reply is not an object.")
        if is_error(parsed, self.answer):
            raise ProviderError(parsed)
        try:
            return self._whole(held, parsed, raw)
        except _UNREADABLE as error:
            raise UnreadableReply("The reply has another form.") from error

    @abstractmethod
    def _whole(
        self, held: AdmittedCall, parsed: dict[str, Any], raw: bytes
    ) -> WholeReply:
        """As `whole`, for a reply of the form that the endpoint promises."""

    def reader(self, held: AdmittedCall) -> StreamReader:
        """A reader for a streamed answer."""
        raise Malformed("This endpoint does not stream.")
