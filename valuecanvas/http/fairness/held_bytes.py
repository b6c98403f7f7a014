"""Bytes of bodies, and of answers that clients have not read yet, in one process."""

from collections import Counter

# One visitor may have half of them, so that others are still served.
MOST_HELD_BYTES = 33_554_432


class HeldBytes:
    """Counts them by visitor. One per process."""

    def __init__(self) -> None:
        self._by_visitor: Counter[str] = Counter()

    def add(self, visitor: str, size: int) -> None:
        """Count `size` more bytes; fewer if it is negative."""
        self._by_visitor[visitor] += size
        if self._by_visitor[visitor] <= 0:
            del self._by_visitor[visitor]

    def is_full(self, visitor: str) -> bool:
        """Whether this visitor's requests, or all together, hold too much."""
        own, total = self._by_visitor[visitor], self._by_visitor.total()
        return 2 * own > MOST_HELD_BYTES or total > MOST_HELD_BYTES


class HeldShare:
    """The bytes that one request holds."""

    def __init__(self, held: HeldBytes, visitor: str) -> None:
        self._held = held
        self.visitor = visitor
        self._size = 0

    def add(self, size: int) -> None:
        self._size += size
        self._held.add(self.visitor, size)

    def free(self) -> None:
        self._held.add(self.visitor, -self._size)
        self._size = 0

    @property
    def too_much(self) -> bool:
        return self._held.is_full(self.visitor)
