"""Load shedding: a process refuses requests beyond its limits."""

from llm import metrics
from valuecanvas.core.errors import Unavailable

RETRY_AFTER_S = 1
# The first bytes of each body are not counted: small requests must not be refused
# because others are large.
FREE_BYTES = 65_536


class LoadLimit:
    """Counts requests under way, and the bytes of their bodies.

    A stream counts until it has ended.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._left = most
        self._bytes_left = most_bytes

    def enter(self) -> None:
        """Raises Unavailable if the limit is reached."""
        if self._left <= 0:
            raise _full("This gateway has reached its limit of requests under way; ")
        self._left -= 1

    def leave(self) -> None:
        self._left += 1

    def hold(self, more: int) -> None:
        """Count `more` bytes of a body. Raises Unavailable if that is too much."""
        if more > self._bytes_left:
            raise _full("This gateway has reached its limit of large bodies; ")
        self._bytes_left -= more

    def release(self, held: int) -> None:
        self._bytes_left += held


def _full(why: str) -> Unavailable:
    metrics.OVERLOADED.inc()
    return Unavailable(
        f"{why}try again in {RETRY_AFTER_S} s.",
        code="overloaded",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


class LoadSlot:
    """The share of one request; `free` does nothing if nothing is taken."""

    __slots__ = ("_bytes", "_bytes_limit", "_limit")

    def __init__(self) -> None:
        self._limit: LoadLimit | None = None
        self._bytes_limit: LoadLimit | None = None
        self._bytes = 0

    def take(self, limit: LoadLimit) -> None:
        """Raises Unavailable if the limit is reached."""
        limit.enter()
        self._limit = limit

    def count(self, limit: LoadLimit, size: int) -> None:
        """Count a body of `size` bytes so far. Raises Unavailable if that is too much."""
        more = size - FREE_BYTES - self._bytes
        if more > 0:
            limit.hold(more)
            self._bytes_limit = limit
            self._bytes += more

    def free(self) -> None:
        if self._limit is not None:
            self._limit.leave()
            self._limit = None
        if self._bytes_limit is not None:
            self._bytes_limit.release(self._bytes)
            self._bytes_limit, self._bytes = None, 0
