"""Gives an answer to the requests that wait for the same, and stores it for later ones."""

from llm.cache.cache import Cache
from llm.cache.entry import Entry
from llm.coalesce.flights import SharedCalls
from llm.types import AdmittedCall
from valuecanvas.core.errors import GatewayError


class AnswerSharing:
    """One per process. Does nothing for a request that shares nothing."""

    def __init__(self, cache: Cache, flights: SharedCalls) -> None:
        self._cache = cache
        self._flights = flights

    def add(self, held: AdmittedCall, events: list[bytes]) -> None:
        """More of a stream has come."""
        flight = held.flight
        if flight is None or not events:
            return
        flight.add(events)
        if flight.is_too_large:
            self._flights.unshared(flight)
            flight.forget()

    def complete(self, held: AdmittedCall, entry: Entry | None, *, store: bool) -> None:
        """The whole answer is there; without `entry` it cannot be given to others."""
        if held.place is not None and entry is not None and store:
            self._cache.put(held.place, held.call.directives, entry)
        if held.flight is None:
            return
        if entry is None:
            self._flights.unshared(held.flight)
        else:
            self._flights.landed(held.flight, entry)

    def stop_following(self) -> None:
        """The process ends: what other processes lead is waited for no longer."""
        self._flights.lose_followed()

    def fail(self, held: AdmittedCall, error: GatewayError | None = None) -> None:
        """There is no answer; without `error` the others try by themselves."""
        if held.flight is not None:
            self._flights.failed(held.flight, error)
