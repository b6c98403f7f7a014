"""Cuts the body of a provider's response after so many bytes, or events with content."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable

import aiohttp

# The end of an event, and a text in it that is not empty: content, in all our formats.
_END = re.compile(rb"\r?\n\r?\n")
_CONTENT = re.compile(
    rb'"(?:content|delta|text|arguments|refusal|reasoning|reasoning_content)"'
    rb'\s*:\s*"[^"]'
)


class CutPoint(ABC):
    """Where a body breaks off."""

    @abstractmethod
    def passes(self, data: bytes) -> int:
        """How many bytes of the next `data` come before it."""

    @property
    @abstractmethod
    def is_reached(self) -> bool: ...


class BytePoint(CutPoint):
    """After so many bytes."""

    def __init__(self, after: int) -> None:
        self._left = after

    @property
    def is_reached(self) -> bool:
        return self._left <= 0

    def passes(self, data: bytes) -> int:
        passed = min(self._left, len(data))
        self._left -= passed
        return passed


class EventPoint(CutPoint):
    """After so many events with content."""

    def __init__(self, after: int) -> None:
        self._left = after
        # The beginning of an event, which was passed on.
        self._rest = b""

    @property
    def is_reached(self) -> bool:
        return self._left <= 0

    def passes(self, data: bytes) -> int:
        known, text, begin = len(self._rest), self._rest + data, 0
        for end in _END.finditer(text):
            if _CONTENT.search(text, begin, end.start()):
                self._left -= 1
            begin = end.end()
            if self.is_reached:
                return begin - known
        self._rest = text[begin:]
        return len(data)


class CutContent(aiohttp.StreamReader):
    """A body that breaks off at a point, as if the connection were lost there."""

    def __init__(
        self, content: aiohttp.StreamReader, point: CutPoint, on_cut: Callable[[], None]
    ) -> None:
        # Not StreamReader's own: all is read from `content`.
        self._content = content
        self._point = point
        self._on_cut = on_cut
        self._error = aiohttp.ClientPayloadError("A chaos experiment cut it.")
        self._was_cut = False

    async def readany(self) -> bytes:
        self._check()
        return self._take(await self._content.readany())

    def read_nowait(self, n: int = -1) -> bytes:
        self._check()
        return self._take(self._content.read_nowait(n))

    def exception(self) -> BaseException | None:
        return self._error if self._point.is_reached else self._content.exception()

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        self._content.set_exception(exc, *cause)

    def at_eof(self) -> bool:
        """Not once it was cut: the rest of the body is on the connection."""
        return not self._point.is_reached and self._content.at_eof()

    def _take(self, data: bytes) -> bytes:
        return data[: self._point.passes(data)]

    def _check(self) -> None:
        """Raises ClientPayloadError at the point and behind it."""
        if not self._point.is_reached:
            return
        if not self._was_cut:
            self._was_cut = True
            self._on_cut()
        raise self._error
