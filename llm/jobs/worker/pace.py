"""How many lines of batches run at once: fewer while the machine is busy.

As LEDBAT (RFC 6817) yields to other traffic by the delay that it sees: a worker runs at
a low priority, so it is the first to be late where processor time is short.
"""

# Later than this, in seconds, is a busy machine.
MOST_LATE_S = 0.015
FEWER, MORE = 0.8, 0.1


class BatchPace:
    """The number of slots for lines of batches, from 1 to all."""

    def __init__(self, slots: int) -> None:
        self._most = slots
        self._slots = float(slots)

    @property
    def slots(self) -> int:
        return int(self._slots)

    def observe(self, late_s: float) -> None:
        """Take down how late the worker's event loop was."""
        if late_s > MOST_LATE_S:
            self._slots = max(1.0, self._slots * FEWER)
        else:
            self._slots = min(float(self._most), self._slots + MORE)
