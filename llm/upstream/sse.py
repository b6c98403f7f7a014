"""Server-sent events, split without copying more than needed.

By the grammar of the WHATWG standard: lines end with LF, CR or CRLF, and a byte order
mark may stand at the start.
"""

from collections.abc import Iterator

# Largest event: a provider that never ends a line must not fill memory.
MOST_EVENT_BYTES = 1_048_576
_MARK = b"\xef\xbb\xbf"
# As numbers: `in` on bytes is five times as fast with a number.
_LF, _CR = b"\n\r"


class TooLarge(Exception):
    """A single event passed MOST_EVENT_BYTES."""


class Splitter:
    """Splits bytes into events: (the event with its blank line, its data).

    Comments, ids and retry times are left out, and so are events without data: some
    clients take a block without data for an empty event.
    """

    def __init__(self) -> None:
        self._rest = b""
        # The start of the stream, while it may still be a byte order mark.
        self._start: bytes | None = b""
        # Whether the last byte was a CR: an LF that follows belongs to it.
        self._after_cr = False

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The events that `data` completes. Raises TooLarge."""
        if self._start is not None or self._after_cr or _CR in data:
            data = self._plain(data)
        if self._rest:
            data = self._rest + data
        *events, self._rest = data.split(b"\n\n")
        if len(self._rest) > MOST_EVENT_BYTES:
            raise TooLarge
        for event in events:
            if len(event) > MOST_EVENT_BYTES:
                raise TooLarge
            if event.startswith(b"data: {") and _LF not in event:
                yield event + b"\n\n", event[6:]
            elif read := _read(event):
                yield read

    @property
    def rest(self) -> bytes:
        """What came after the last whole event."""
        return self._rest

    def _plain(self, data: bytes) -> bytes:
        """`data` without a byte order mark, and with LF for each line end."""
        if self._start is not None:
            data = self._start + data
            if len(data) < len(_MARK) and _MARK.startswith(data):
                self._start = data
                return b""
            self._start = None
            data = data.removeprefix(_MARK)
        if not data:
            return data
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def is_done(payload: bytes) -> bool:
    """Whether this is the end of the stream; blanks around it do not matter."""
    return payload.strip() == b"[DONE]"


def _read(event: bytes) -> tuple[bytes, bytes] | None:
    """The event as it is passed on, and its data; None where it has none."""
    kind, data = b"", []
    for line in event.split(b"\n"):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"event":
            kind = value
    payload = b"\n".join(data)
    if not payload.strip():
        return None
    lines = [b"data: %b\n" % line for line in data]
    if kind:
        lines.insert(0, b"event: %b\n" % kind)
    return b"".join(lines) + b"\n", payload
