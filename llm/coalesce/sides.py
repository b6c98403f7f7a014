"""The two sides of a flight between processes."""

import time
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Any

from llm.cache import entry as entries
from llm.cache.entry import Entry
from llm.shared_call import SharedCall, SharedCallState
from llm.types import CachePlace


@dataclass(eq=False, slots=True)
class Led:
    """A flight that this process leads, and the processes that follow it."""

    flight: SharedCall
    place: CachePlace
    processes: dict[str, int] = field(default_factory=dict)

    def news(self, process: str, events: list[bytes]) -> dict[str, Any]:
        """The next message to `process`: more events, and how it ended if it has."""
        flight, number = self.flight, self.processes[process]
        self.processes[process] = number + 1
        message: dict[str, Any] = {"t": "news", "k": flight.key, "n": number}
        if events:
            message["e"] = [event.decode(errors="replace") for event in events]
        if flight.state is not SharedCallState.FLYING:
            message["s"] = flight.state.value
        if flight.entry is not None:
            place = self.place
            value = entries.pack(flight.entry, tenant=place.tenant, key=place.key)
            message["v"] = b64encode(value).decode()
        if flight.error is not None:
            told = flight.error.body()["error"]
            message["error"] = {**told, "status": flight.error.status}
            message["headers"] = flight.error.headers
        return message


@dataclass(eq=False, slots=True)
class Followed:
    """A flight that another process leads."""

    flight: SharedCall
    place: CachePlace
    leader: str
    expected: int = 0
    heard_at: float = field(default_factory=time.monotonic)

    def entry_in(self, message: dict[str, Any]) -> Entry | None:
        """The answer that a message brings; None: none, or none of this place."""
        if "v" not in message:
            return None
        value = b64decode(message["v"])
        return entries.unpack(value, tenant=self.place.tenant, key=self.place.key)
