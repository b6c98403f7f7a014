"""The two sides of a flight between processes."""

import time
from dataclasses import dataclass, field

from llm.coalesce.flight import Flight
from llm.types import Place


@dataclass(eq=False, slots=True)
class Led:
    """A flight that this process leads, and the processes that follow it."""

    flight: Flight
    place: Place
    processes: dict[str, int] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Followed:
    """A flight that another process leads."""

    flight: Flight
    place: Place
    leader: str
    expected: int = 0
    heard_at: float = field(default_factory=time.monotonic)
