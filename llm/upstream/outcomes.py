"""Reports to the breakers how calls to providers ended."""

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
    # The request was at fault, or our reader: this says nothing about the provider.
    Verdict.CLIENT: Event.RELEASED,
    Verdict.UNUSABLE: Event.RELEASED,
}


class BreakerReports:
    """Reports outcomes. An error about our key or account is checked first, in the
    background: one caller must not open the breaker of a healthy provider."""

    def __init__(self, board: Board, probe: KeyProbe) -> None:
        self._board = board
        self._probe = probe
        self.checks: set[asyncio.Task[None]] = set()

    def report_success(self, candidate: Candidate, permit: Pass) -> None:
        """Report a success."""
        if not candidate.forced:
            self._board.report_success(name_of(candidate), permit)

    async def report_answer(
        self, candidate: Candidate, permit: Pass, *, filtered: bool
    ) -> None:
        """Report a whole answer; one that a content filter cut is not counted."""
        if filtered:
            await self.report(candidate, permit, Event.RELEASED)
        else:
            self.report_success(candidate, permit)

    async def report_failure(
        self, candidate: Candidate, permit: Pass, failure: Failed
    ) -> None:
        """Report a call that failed or broke off."""
        event = EVENTS[failure.verdict]
        doubtful = event is Event.AUTH or (
            event is Event.BILLING and not _is_certain(failure)
        )
        if not doubtful:
            await self.report(
                candidate,
                permit,
                event,
                failure.retry_after_s,
                injected_by=failure.injected_by,
            )
        elif not candidate.forced:
            check = asyncio.create_task(self._check(candidate, permit, failure))
            self.checks.add(check)
            check.add_done_callback(self.checks.discard)

    async def report(
        self,
        candidate: Candidate,
        permit: Pass,
        event: Event,
        wait_s: float = 0.0,
        *,
        injected_by: str = "",
    ) -> None:
        """Report an event to the breaker, if it is an outcome."""
        counts = event is not Event.RELEASED or permit.probe
        if counts and not candidate.forced:
            await self._board.report(
                name_of(candidate), permit, event, wait_s, injected_by=injected_by
            )

    async def close(self) -> None:
        """End the checks under way."""
        await self._probe.close()
        if self.checks:
            await asyncio.wait(self.checks, timeout=1)

    async def _check(self, candidate: Candidate, permit: Pass, failure: Failed) -> None:
        """Check whether our key is bad: by a probe, or else by the error's words."""
        event = Event.RELEASED
        try:
            refused = await self._probe.is_refused(candidate.provider)
            if refused or (refused is None and _is_certain(failure)):
                event = EVENTS[failure.verdict]
        finally:
            await self.report(candidate, permit, event)


def _is_certain(failure: Failed) -> bool:
    return is_certain(failure.verdict, failure.status, failure.error or {})


def name_of(candidate: Candidate) -> Name:
    """The breaker of a route."""
    return Name(candidate.provider.key, candidate.upstream_model, candidate.scope)
