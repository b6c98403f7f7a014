"""How fast a worker begins lines of batches.

A line whose answer comes at once costs processor time and little else. Many of them in a
row would keep the database, which interactive requests wait for, busy. Where answers take
their usual time, this pace is never reached.
"""

# The most that begin together.
BURST_S = 0.1


class BatchPace:
    """A token bucket of lines. Times are those of a monotonic clock, in seconds."""

    def __init__(self, rate: float) -> None:
        """`rate` is in lines a second."""
        self._rate = rate
        self._burst = max(1.0, rate * BURST_S)
        self._tokens = self._burst
        self._filled = 0.0

    def free(self, now: float) -> int:
        """How many lines may begin at `now`."""
        gained = (now - self._filled) * self._rate
        self._tokens = min(self._burst, self._tokens + gained)
        self._filled = now
        return int(self._tokens)

    def take(self, lines: int) -> float:
        """Take down that so many began; returns the wait until the next may, in seconds."""
        self._tokens -= lines
        return max(0.0, (1 - self._tokens) / self._rate)
