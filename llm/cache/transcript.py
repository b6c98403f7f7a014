"""Keeps a stream's events as they were sent."""

# A longer stream is not kept: its parts must not fill memory.
MOST_BYTES = 8_388_608


class Transcript:
    """Takes the sent parts in order; `whole` joins them once the stream is done."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > MOST_BYTES:
            self._parts.clear()
        else:
            self._parts.append(part)

    def whole(self, ending: bytes) -> bytes | None:
        """The stream with its `ending`; None if it is too long or no text."""
        if self._size > MOST_BYTES:
            return None
        body = b"".join(self._parts) + ending
        try:
            body.decode()
        except UnicodeDecodeError:
            return None
        return body
