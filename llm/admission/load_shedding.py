"""How much one process takes on at once: overload is refused, not piled up."""

from llm import metrics
from valuecanvas.core.errors import Unavailable

RETRY_AFTER_S = 1
# Of each body so much is not counted: what most requests are must not be refused because
# some are large.
FREE_BYTES = 65_536


class LoadLimit:
    """Seats for requests under way, and bytes for their bodies.

    A stream keeps its own until it has ended.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._left = most
        self._bytes_left = most_bytes

    def enter(self) -> None:
        """Raises Unavailable if every seat is taken."""
        if self._left <= 0:
            raise _full(
                "This gateway has as many requests under way as it may take on; "
            )
        self._left -= 1

    def leave(self) -> None:
        self._left += 1

    def hold(self, more: int) -> None:
        """Count `more` bytes of a body. Raises Unavailable if there is no room."""
        if more > self._bytes_left:
            raise _full("This gateway has as many large bodies as it may take on; ")
        self._bytes_left -= more

    def let_go(self, held: int) -> None:
        self._bytes_left += held


def _full(why: str) -> Unavailable:
    metrics.OVERLOADED.inc()
    return Unavailable(
        f"{why}ask again in {RETRY_AFTER_S} s.",
        code="overloaded",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


class LoadSlot:
    """One request's; freeing it once more, or before it was taken, does nothing."""

    __slots__ = ("_bytes", "_bytes_room", "_room")

    def __init__(self) -> None:
        self._room: LoadLimit | None = None
        self._bytes_room: LoadLimit | None = None
        self._bytes = 0

    def take(self, room: LoadLimit) -> None:
        """Raises Unavailable if every seat is taken."""
        room.enter()
        self._room = room

    def count(self, room: LoadLimit, size: int) -> None:
        """The body has `size` bytes by now. Raises Unavailable if that is too much."""
        more = size - FREE_BYTES - self._bytes
        if more > 0:
            room.hold(more)
            self._bytes_room = room
            self._bytes += more

    def free(self) -> None:
        if self._room is not None:
            self._room.leave()
            self._room = None
        if self._bytes_room is not None:
            self._bytes_room.let_go(self._bytes)
            self._bytes_room, self._bytes = None, 0
