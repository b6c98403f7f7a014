"""How much one process takes on at once: overload is refused, not piled up."""

from llm import metrics
from valuecanvas.core.errors import Unavailable

RETRY_AFTER_S = 1


class Room:
    """Seats for requests under way; a stream keeps its own until it has ended."""

    def __init__(self, most: int) -> None:
        self._left = most

    def enter(self) -> None:
        """Raises Unavailable if every seat is taken."""
        if self._left <= 0:
            metrics.OVERLOADED.inc()
            raise Unavailable(
                "This gateway has as many requests under way as it may take on; "
                f"ask again in {RETRY_AFTER_S} s.",
                code="overloaded",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        self._left -= 1

    def leave(self) -> None:
        self._left += 1


class Seat:
    """One request's; freeing it once more, or before it was taken, does nothing."""

    __slots__ = ("_room",)

    def __init__(self) -> None:
        self._room: Room | None = None

    def take(self, room: Room) -> None:
        """Raises Unavailable if every seat is taken."""
        room.enter()
        self._room = room

    def free(self) -> None:
        if self._room is not None:
            self._room.leave()
            self._room = None
