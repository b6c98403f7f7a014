"""The numbered server-sent events of one Response stream, as bytes."""

import orjson

from llm.translate.typed_fields import Json


class EventWriter:
    """Numbers events from 0 and encodes them."""

    def __init__(self) -> None:
        self._next = 0

    def event(self, kind: str, fields: Json) -> bytes:
        return self.splice(_opening(kind, fields))

    def splice(self, opening: bytes, middle: bytes = b"") -> bytes:
        """The event of an `opening` and the encoded JSON after it."""
        number = self._next
        self._next = number + 1
        return b'%b%b,"sequence_number":%d}\n\n' % (opening, middle, number)


def _opening(kind: str, fields: Json) -> bytes:
    data = orjson.dumps({"type": kind, **fields})
    return b"event: %b\ndata: %b" % (kind.encode(), data[:-1])


def before(kind: str, name: str, fields: Json) -> bytes:
    """The opening of an event up to its field `name`, encoded once for many."""
    return b'%b,"%b":' % (_opening(kind, fields), name.encode())
