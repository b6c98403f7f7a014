"""How fast a worker begins lines of batches while interactive requests are served.

A line whose answer comes at once costs processor time and little else. Many of them in a
row would keep the database, which interactive requests wait for, busy. So beside those
requests lines begin together, as many as there are slots, and then none for a while.
"""


class BatchPace:
    """Begins lines at a mean rate. Times are those of a monotonic clock, in seconds."""

    def __init__(self, rate: float) -> None:
        """`rate` is in lines a second."""
        self._rate = rate
        self._next = 0.0
        # Whether interactive requests are served at present.
        self.beside_others = True

    def is_free(self, now: float) -> bool:
        """Whether lines may begin at `now`."""
        return now >= self._next or not self.beside_others

    def take(self, lines: int, now: float) -> float:
        """Take down that so many begin at `now`; returns the wait until the next may."""
        wait = lines / self._rate if self.beside_others else 0.0
        self._next = now + wait
        return wait
