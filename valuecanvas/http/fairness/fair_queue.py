"""A queue for a few slots in which visitors take turns, however many requests one has."""

import asyncio
from collections import Counter, deque


class QueueFull(Exception):
    """Too many wait already."""


class FairQueue:
    """Slots for requests of visitors (addresses or sessions).

    One visitor has half of the slots at most. Whoever is alone may fill the queue; when it
    is full, a visitor with fewer waiting requests displaces the last one of the visitor
    with the most.
    """

    def __init__(self, slots: int, most_waiting: int) -> None:
        self._free = slots
        self._share = max(1, slots // 2)
        self._left = most_waiting
        self._running: Counter[str] = Counter()
        # In the order of their turns.
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}

    async def take(self, visitor: str) -> None:
        """Wait for a slot. Raises QueueFull."""
        if self._free and self._running[visitor] < self._share:
            self._start(visitor)
            return
        if not self._left:
            self._displace(visitor)
        turn = asyncio.get_running_loop().create_future()
        self._lines.setdefault(visitor, deque()).append(turn)
        self._left -= 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._remove(visitor, turn)
            elif turn.exception() is None:
                self.give_back(visitor)
            raise

    def give_back(self, visitor: str) -> None:
        """Pass a slot on to the first request of the next visitor."""
        self._free += 1
        self._running[visitor] -= 1
        if not self._running[visitor]:
            del self._running[visitor]
        for one in list(self._lines):
            if self._running[one] < self._share and self._call_next(one):
                return

    def is_waiting(self, visitor: str) -> bool:
        """Whether a request of this visitor waits for its turn."""
        return visitor in self._lines

    def _start(self, visitor: str) -> None:
        self._free -= 1
        self._running[visitor] += 1

    def _call_next(self, visitor: str) -> bool:
        """Start this visitor's first request; False: those that waited have left."""
        line = self._lines.pop(visitor)
        while line:
            turn = line.popleft()
            self._left += 1
            if not turn.done():
                self._start(visitor)
                turn.set_result(None)
                if line:
                    self._lines[visitor] = line
                return True
        return False

    def _displace(self, visitor: str) -> None:
        """Refuse another's last request in place of this one. Raises QueueFull."""
        longest = max(self._lines, key=lambda one: len(self._lines[one]), default="")
        own = len(self._lines.get(visitor, ()))
        if own + 1 >= len(self._lines.get(longest, ())):
            raise QueueFull
        last = self._lines[longest][-1]
        self._remove(longest, last)
        if not last.done():
            last.set_exception(QueueFull())

    def _remove(self, visitor: str, turn: "asyncio.Future[None]") -> None:
        line = self._lines.get(visitor, deque())
        if turn in line:
            line.remove(turn)
            self._left += 1
        if not line:
            self._lines.pop(visitor, None)
