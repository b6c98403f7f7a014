"""A call that processes share: the leader's side and a follower's."""

import time
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Any

from llm.cache import entry as entries
from llm.cache.entry import Entry
from llm.shared_call import SharedCall, SharedCallState
from llm.types import CachePlace


@dataclass(eq=False, slots=True)
class LedCall:
    """A call that this process leads, and the processes that follow it."""

    call: SharedCall
    place: CachePlace
    processes: dict[str, int] = field(default_factory=dict)

    def next_message(self, process: str, events: list[bytes]) -> dict[str, Any]:
        """The next message to `process`: more events, and how it ended if it has."""
        call, number = self.call, self.processes[process]
        self.processes[process] = number + 1
        message: dict[str, Any] = {"t": "news", "k": call.key, "n": number}
        if events:
            message["e"] = [event.decode(errors="replace") for event in events]
        if call.state is not SharedCallState.RUNNING:
            message["s"] = call.state.value
        if call.entry is not None:
            place = self.place
            value = entries.pack(call.entry, tenant=place.tenant, key=place.key)
            message["v"] = b64encode(value).decode()
        if call.error is not None:
            error = call.error.body()["error"]
            message["error"] = {**error, "status": call.error.status}
            message["headers"] = call.error.headers
        return message


@dataclass(eq=False, slots=True)
class FollowedCall:
    """A call that another process leads."""

    call: SharedCall
    place: CachePlace
    leader: str
    expected: int = 0
    asked: int = 0
    heard_at: float = field(default_factory=time.monotonic)

    def entry_in(self, message: dict[str, Any]) -> Entry | None:
        """The answer in a message; None: it has none for this place."""
        if "v" not in message:
            return None
        value = b64decode(message["v"])
        return entries.unpack(value, tenant=self.place.tenant, key=self.place.key)
