"""Tells the breakers how calls to providers ended."""

import asyncio

from llm.breaker.board import Board
from llm.breaker.types import Event, Name, Pass
from llm.providers.base import Verdict
from llm.providers.error_words import is_certain
from llm.providers.key_probe import KeyProbe
from llm.types import Candidate
from llm.upstream.http import Failed

EVENTS = {
    Verdict.FAILURE: Event.FAILURE,
    Verdict.AUTH: Event.AUTH,
    Verdict.BILLING: Event.BILLING,
    Verdict.THROTTLED: Event.THROTTLED,
    # The request was at fault, or what we can read: it tells nothing of the provider.
    Verdict.CLIENT: Event.RELEASED,
    Verdict.UNUSABLE: Event.RELEASED,
}


class BreakerReports:
    """One caller's answers never close a healthy provider: what says that our key or
    account is bad is checked first, off the answer's path."""

    def __init__(self, board: Board, probe: KeyProbe) -> None:
        self._board = board
        self._probe = probe
        self.checks: set[asyncio.Task[None]] = set()

    def succeeded(self, candidate: Candidate, leave: Pass) -> None:
        """The call was good."""
        if not candidate.forced:
            self._board.ok(name_of(candidate), leave)

    async def ended(self, candidate: Candidate, leave: Pass, *, filtered: bool) -> None:
        """An answer was complete; one that a content filter cut is not counted."""
        if filtered:
            await self.told(candidate, leave, Event.RELEASED)
        else:
            self.succeeded(candidate, leave)

    async def failed(self, candidate: Candidate, leave: Pass, failure: Failed) -> None:
        """The call brought no answer, or broke one off."""
        event = EVENTS[failure.verdict]
        doubtful = event is Event.AUTH or (
            event is Event.BILLING and not _is_certain(failure)
        )
        if not doubtful:
            await self.told(candidate, leave, event, failure.retry_after_s)
        elif not candidate.forced:
            check = asyncio.create_task(self._check(candidate, leave, failure))
            self.checks.add(check)
            check.add_done_callback(self.checks.discard)

    async def told(
        self, candidate: Candidate, leave: Pass, event: Event, wait_s: float = 0.0
    ) -> None:
        """Tell the breaker an event; nothing, where that is no outcome."""
        told = event is not Event.RELEASED or leave.probe
        if told and not candidate.forced:
            await self._board.tell(name_of(candidate), leave, event, wait_s)

    async def close(self) -> None:
        """End the checks under way."""
        await self._probe.close()
        if self.checks:
            await asyncio.wait(self.checks, timeout=1)

    async def _check(self, candidate: Candidate, leave: Pass, failure: Failed) -> None:
        """Is it our key? The probe decides; where it can't, the provider's own words do."""
        event = Event.RELEASED
        try:
            refused = await self._probe.is_refused(candidate.provider)
            if refused or (refused is None and _is_certain(failure)):
                event = EVENTS[failure.verdict]
        finally:
            await self.told(candidate, leave, event)


def _is_certain(failure: Failed) -> bool:
    return is_certain(failure.verdict, failure.status, failure.error or {})


def name_of(candidate: Candidate) -> Name:
    """The breaker of a route."""
    return Name(candidate.provider.key, candidate.upstream_model)
