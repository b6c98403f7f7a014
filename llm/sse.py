"""Server-sent events, split without copying more than needed."""

from collections.abc import Iterator

# One event may not be larger: a provider that never ends a line must not fill memory.
MOST_EVENT_BYTES = 1_048_576


class TooLarge(Exception):
    """A single event passed MOST_EVENT_BYTES."""


class Splitter:
    """Bytes in, whole events out: (the event with its blank line, its data)."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The events that `data` completes. Raises TooLarge."""
        if self._rest:
            data = self._rest + data
        if b"\r" in data:
            # After the rest is put before it: a pair may come in two parts.
            data = data.replace(b"\r\n", b"\n")
        *events, self._rest = data.split(b"\n\n")
        if len(self._rest) > MOST_EVENT_BYTES:
            raise TooLarge
        for event in events:
            if len(event) > MOST_EVENT_BYTES:
                raise TooLarge
            if event.startswith(b"data: {") and b"\n" not in event:
                payload = event[6:]
            else:
                payload = _payload(event)
            if payload:
                yield event + b"\n\n", payload

    @property
    def rest(self) -> bytes:
        """What came after the last whole event."""
        return self._rest


def _payload(event: bytes) -> bytes:
    """The event's data; b'' for comments and events without data."""
    if event.startswith(b"data:") and b"\n" not in event:
        return event[5:].lstrip()
    lines = [
        line[5:].lstrip() for line in event.split(b"\n") if line.startswith(b"data:")
    ]
    return b"\n".join(lines)
