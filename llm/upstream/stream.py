"""A provider's stream: read up to its first content, then on, a burst at a time."""

import asyncio
import time
from dataclasses import dataclass, field

import aiohttp

from llm.breaker.types import Pass
from llm.dialects.base import Malformed, Piece, Sort, StreamReader
from llm.providers.base import Verdict
from llm.types import Candidate
from llm.upstream import http
from llm.upstream.http import Failed, ProviderResponse
from llm.upstream.sse import MOST_EVENT_BYTES, Splitter, TooLarge

BURST_S = 0.002
LINGER_S = 0.001
# Most bytes held before the first content: no answer needs as much.
MOST_HELD_BYTES = 2 * MOST_EVENT_BYTES
# A small event takes more memory than its bytes.
_EVENT_OVERHEAD = 64


@dataclass(slots=True)
class UpstreamStream:
    """A stream from `candidate`; `begin` it once, then ask for `more`."""

    candidate: Candidate
    reader: StreamReader
    permit: Pass
    response: ProviderResponse
    # The events before the first content: sent only with it.
    first: list[Piece] = field(default_factory=list)
    # The first content, with what came in the same burst.
    backlog: list[Piece] = field(default_factory=list)
    _splitter: Splitter = field(default_factory=Splitter)
    _read_at: float = 0.0
    _broken: Failed | None = None
    # Whether the event that ends the stream was read: nothing behind it counts.
    _ended: bool = False

    async def begin(self) -> None:
        """Read up to the first content. Raises Failed."""
        waiting = 0
        while (pieces := await self.more()) is not None:
            for index, piece in enumerate(pieces):
                if piece.sort is Sort.ERROR:
                    raise http.in_band(self.candidate, piece.error)
                # It may only have finished with a later event of the same burst.
                finished = self.reader.finished and piece.sort is not Sort.HELD
                if finished or piece.sort is Sort.CONTENT:
                    self.backlog = pieces[index:]
                    return
                if piece.sort is Sort.DONE:
                    raise Failed(
                        Verdict.FAILURE, "The provider's stream is empty.", 200
                    )
                if piece.sort is not Sort.DROP:
                    self.first.append(piece)
                    waiting += len(piece.out) + _EVENT_OVERHEAD
                if waiting > MOST_HELD_BYTES:
                    raise _malformed()
        raise self._no_stream()

    def _no_stream(self) -> Failed:
        """The failure for a stream without content; it may be an error as JSON."""
        rest = self._splitter.rest.strip()
        early = Failed(Verdict.FAILURE, "The provider's stream ended early.", 200)
        try:
            piece = self.reader.read(b"", rest.removeprefix(b"data:"))
        except Malformed:
            return early
        if piece.sort is Sort.ERROR:
            return http.in_band(self.candidate, piece.error)
        if rest.startswith(b"data:"):
            return early
        return Failed(Verdict.UNUSABLE, "The provider did not stream its answer.", 200)

    async def more(self) -> list[Piece] | None:
        """The events of the next burst; None at the end. Raises Failed."""
        if self._broken is not None:
            raise self._broken
        if self._ended:
            return None
        try:
            data = await self._burst()
        except (aiohttp.ClientError, OSError) as error:
            raise Failed(
                Verdict.FAILURE, "The provider's stream broke off.", 200
            ) from error
        if not data:
            return None
        return self._read(data)

    def _read(self, data: bytes) -> list[Piece]:
        """The events that `data` completes, up to the one that ends the stream."""
        pieces: list[Piece] = []
        try:
            for raw, payload in self._splitter.feed(data):
                piece = self.reader.read(raw, payload)
                pieces.append(piece)
                if piece.sort is Sort.DONE or piece.sort is Sort.ERROR:
                    self._ended = True
                    break
        except (Malformed, TooLarge) as error:
            broken = _malformed(getattr(error, "verdict", Verdict.UNUSABLE))
            if not pieces:
                raise broken from error
            # The events before it were counted: they must not be lost.
            self._broken = broken
        return pieces

    def stop(self, failure: Failed) -> None:
        """Make `more` raise this failure, now and from now on."""
        self.response.content.set_exception(failure)

    def close(self) -> None:
        """Release the connection; a second time does nothing."""
        http.release(self.response)

    async def _burst(self) -> bytes:
        """Read the body as it comes; parts of one burst are returned together.

        A model's tokens are tens of milliseconds apart and are never held back. Only
        where less than BURST_S has passed since the last read, the next millisecond is
        waited for: sending each chunk by itself costs more than all the rest.
        """
        content = self.response.content
        data = await content.readany()
        if time.monotonic() - self._read_at < BURST_S:
            await asyncio.sleep(LINGER_S)
            if content.exception() is None:
                data += content.read_nowait()
        self._read_at = time.monotonic()
        return data


def _malformed(verdict: Verdict = Verdict.FAILURE) -> Failed:
    return Failed(verdict, "The provider's stream is malformed.", 200)
