"""A stream under way: relays events, notices how it ends, and settles it once."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator

from billing.ledger import Ledger
from llm.breaker.types import Event
from llm.dialects.base import Piece, Sort
from llm.providers.base import Verdict
from llm.relay import Flow, Journey, Relay
from llm.settlement import Outcome, counted, settle
from llm.types import Summary
from llm.upstream import Failed
from valuecanvas.core import money

# A probe has succeeded after this many seconds of tokens, before its stream ends.
HEALTHY_S = 5.0


class LiveStream:
    """The parts of a streamed answer. `aclose` before the end: the client has gone."""

    def __init__(
        self, relay: Relay, ledger: Ledger, journey: Journey, flow: Flow
    ) -> None:
        self._relay = relay
        self._ledger = ledger
        self._journey = journey
        self._flow = flow
        self._began = time.monotonic()
        self._ttft_ms = int((self._began - journey.held.call.started) * 1000)
        self._probing = flow.leave.probe
        self._settled = False
        self._parts = self._run()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._parts)

    async def aclose(self) -> None:
        """End the stream, wherever it is: what was delivered is billed."""
        await self._parts.aclose()
        # A generator that was never started runs no `finally`.
        await self._gone()

    async def _run(self) -> AsyncGenerator[bytes, None]:
        flow = self._flow
        try:
            yield b"".join(flow.first)
            async for pieces in self._batches():
                out, last = _joined(pieces)
                if out:
                    yield out
                if last is None:
                    continue
                if last.sort is Sort.ERROR:
                    yield await self._interrupted()
                else:
                    yield await self._finished()
                return
            if flow.reader.finished:
                yield await self._finished()
            else:
                yield await self._interrupted()
        except Failed:
            yield await self._interrupted()
        finally:
            await self._gone()

    async def _batches(self) -> AsyncIterator[list[Piece]]:
        """The stream's events, as they come. Raises Failed."""
        model = self._journey.held.plan.model
        yield self._flow.backlog
        while True:
            now = time.monotonic()
            self._note_health(now)
            wait = min(model.between_tokens_s, self._journey.deadline - now)
            try:
                async with asyncio.timeout(wait):
                    pieces = await anext(self._flow.events)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise Failed(
                    Verdict.FAILURE, "The provider's stream stalled."
                ) from error
            yield pieces

    def _note_health(self, now: float) -> None:
        if self._probing and now - self._began > HEALTHY_S:
            self._probing = False
            self._relay.succeeded(self._flow.candidate, self._flow.leave)

    async def _finished(self) -> bytes:
        if not self._flow.leave.probe or self._probing:
            self._relay.succeeded(self._flow.candidate, self._flow.leave)
        summary = await self._settle("ok")
        comment = f": x-valuecanvas-cost-usd={money.text(summary.cost)}\n\n".encode()
        return comment + self._flow.reader.ending()

    async def _interrupted(self) -> bytes:
        """After content nothing fails over: say so in the stream, and send no [DONE]."""
        await self._relay.failed(self._flow.candidate, self._flow.leave, Event.FAILURE)
        await self._settle("interrupted", "stream_interrupted")
        return self._flow.reader.failed(
            {
                "message": "The provider's stream broke off; the answer is incomplete.",
                "type": "upstream_error",
                "param": None,
                "code": "stream_interrupted",
                "request_id": str(self._journey.held.call.id),
            }
        )

    async def _gone(self) -> None:
        """Close the upstream; if nothing was settled yet, the client left early."""
        if not self._settled:
            if self._probing:
                await self._relay.failed(
                    self._flow.candidate, self._flow.leave, Event.RELEASED
                )
            await self._settle("client_gone", "client_gone", wait=False)
        await self._flow.stack.aclose()

    async def _settle(
        self, status: str, error_code: str = "", *, wait: bool = True
    ) -> Summary:
        self._settled = True
        reader, held = self._flow.reader, self._journey.held
        outcome = Outcome(
            status=status,
            candidate=self._flow.candidate,
            tokens=counted(held, reader.usage, reader.size, reader.pieces),
            error_code=error_code,
            ttft_ms=self._ttft_ms,
        )
        return await settle(self._ledger, self._journey, outcome, wait=wait)


def _joined(pieces: list[Piece]) -> tuple[bytes, Piece | None]:
    """What to send of `pieces`, and the one that ends the stream, if any."""
    out: list[bytes] = []
    for piece in pieces:
        if piece.sort in (Sort.DONE, Sort.ERROR):
            return b"".join(out), piece
        if piece.sort is not Sort.DROP:
            out.append(piece.out)
    return b"".join(out), None
