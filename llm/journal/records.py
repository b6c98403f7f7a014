"""The record format of journal files: calls, and subjects whose slots were taken."""

import struct
import uuid
from dataclasses import dataclass

from billing.budget_scopes import CUSTOMER, KEY

SUFFIX = ".journal"
# Reservation, number of the route in its facts, tokens passed on so far.
RECORD = struct.Struct(">16sBI")
# In place of a route: no provider has the request any more.
WITHDRAWN = 255
# Added to the route of an answer that was complete.
COMPLETE = 128
# In place of a route: the record names a subject of minute limits.
SUBJECT = 127
_CUSTOMER, _KEY = 0, 1
_SIZE = 16


@dataclass(frozen=True, slots=True)
class CallProgress:
    """How far a call has come: `tokens` passed on from route number `route`.

    `complete`: that was the whole answer, not settled yet.
    """

    route: int
    tokens: int
    complete: bool = False


def pack_call(request_id: uuid.UUID, progress: CallProgress) -> bytes:
    route = progress.route + (COMPLETE if progress.complete else 0)
    return RECORD.pack(request_id.bytes, route, progress.tokens)


def pack_subject(subject: str) -> bytes:
    """The record of a subject of minute limits; b'' where it does not fit into one."""
    kind, name = subject[:2], subject[2:]
    if kind == CUSTOMER:
        return RECORD.pack(uuid.UUID(name).bytes, SUBJECT, _CUSTOMER)
    raw = name.encode()
    if kind != KEY or len(raw) > _SIZE:
        return b""
    return RECORD.pack(raw.ljust(_SIZE, b"\0"), SUBJECT, _KEY)


def unpack_subject(raw: bytes, kind: int) -> str:
    """The subject in a record of `pack_subject`."""
    if kind == _CUSTOMER:
        return f"{CUSTOMER}{uuid.UUID(bytes=raw)}"
    return f"{KEY}{raw.rstrip(bytes(1)).decode('utf-8', 'replace')}"
