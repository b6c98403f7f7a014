"""Shares an answer with the requests that wait for it, and stores it for later ones."""

from llm.cache.cache import Cache
from llm.cache.entry import Entry
from llm.coalesce.shared_calls import SharedCalls
from llm.types import AdmittedCall
from valuecanvas.core.errors import GatewayError


class AnswerSharing:
    """One per process. Does nothing for a request that shares nothing."""

    def __init__(self, cache: Cache, shared_calls: SharedCalls) -> None:
        self._cache = cache
        self._shared_calls = shared_calls

    def add(self, held: AdmittedCall, events: list[bytes]) -> None:
        """Add the next events of a stream."""
        call = held.shared_call
        if call is None or not events:
            return
        call.add(events)
        if call.is_too_large:
            self._shared_calls.unshare(call)
            call.forget()

    def complete(self, held: AdmittedCall, entry: Entry | None, *, store: bool) -> None:
        """End with the whole answer; without `entry` it cannot be shared."""
        if held.place is not None and entry is not None and store:
            self._cache.put(held.place, held.call.directives, entry)
        if held.shared_call is None:
            return
        if entry is None:
            self._shared_calls.unshare(held.shared_call)
        else:
            self._shared_calls.complete(held.shared_call, entry)

    def stop_following(self) -> None:
        """Stop waiting for other processes, because this one ends."""
        self._shared_calls.lose_followed()

    def fail(self, held: AdmittedCall, error: GatewayError | None = None) -> None:
        """End without an answer; without `error` followers try themselves."""
        if held.shared_call is not None:
            self._shared_calls.fail(held.shared_call, error)
