"""The interface of the wire formats of the endpoints."""

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
    """We cannot read or translate the reply; the provider may be healthy."""

    verdict = Verdict.UNUSABLE


class ProviderError(Exception):
    """The provider's reply of status 200 is an error; `body` has the details."""

    def __init__(self, body: Any) -> None:
        super().__init__("The reply is an error.")
        self.body = body


# Errors of reading a reply of another form, or one too deep to be written again.
_UNREADABLE = (
    AttributeError,
    IndexError,
    KeyError,
    RecursionError,
    TypeError,
    ValueError,
)


class Sort(Enum):
    """What a stream event means for failover and billing."""

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
    # The body with the provider's error.
    error: Any = None
    # The same without usage, for clients that did not ask for it; None: as `out`.
    bare: bytes | None = None


class WholeReply(NamedTuple):
    """One whole answer as the client is to see it."""

    body: bytes
    usage: Any
    # UTF-8 bytes of generated text, for our own count.
    size: int
    # Ended naturally, not by a limit or a filter: fit to be stored.
    natural: bool
    # The generated texts, of which `size` is the sum.
    texts: tuple[str, ...] = ()
    # Cut by the provider's content filter, which says nothing about its health.
    filtered: bool = False
    # The forms in which it can be shared.
    form: Form = Form.ANY


class StreamReader(ABC):
    """Reads one provider stream and counts it; `usage` is the provider's."""

    usage: Any = None
    size: int = 0
    pieces: int = 0
    # Whether the answer is complete, by the provider.
    finished: bool = False
    # Whether a content filter cut it.
    filtered: bool = False
    # Whether all that has ended did so naturally.
    natural: bool = True
    # Set if the whole answer is wanted as well as its parts.
    assembly: Assembly | None = None

    def read(self, raw: bytes, payload: bytes) -> Piece:
        """Read an event: its bytes with the blank line, its data. Raises Malformed."""
        try:
            return self._read(raw, payload)
        except _UNREADABLE as error:
            raise UnreadableReply("A stream event has another form.") from error

    @abstractmethod
    def _read(self, raw: bytes, payload: bytes) -> Piece:
        """As `read`, for an event of the form that the endpoint promises."""

    def unsent_usage(self, usage: dict[str, int]) -> bytes:
        """The event with `usage`, if it was asked for and the provider sent none."""
        return b""

    def ending(self) -> bytes:
        """The last events, which are sent after the settlement."""
        return b""

    @abstractmethod
    def error_event(self, error: dict[str, Any]) -> bytes:
        """The in-band error, after content was sent."""


class Dialect(ABC):
    """How to call one endpoint of a provider."""

    path: str
    # The member of a reply that has its answer.
    answer = "choices"
    # Larger bodies and replies are read and written in a thread.
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
        """Whether it was refused for a field of ours, which `body` then omits."""
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
