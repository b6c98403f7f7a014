"""Subjects of minute limits as 16 bytes and a number, for the records of a journal."""

import uuid

_CUSTOMER, _KEY = 0, 1
_SIZE = 16


def pack(subject: str) -> tuple[bytes, int] | None:
    """`subject` as a record's name and number; None where it does not fit into one."""
    kind, _, name = subject.partition(":")
    if kind == "c":
        return uuid.UUID(name).bytes, _CUSTOMER
    raw = name.encode()
    return (
        (raw.ljust(_SIZE, b"\0"), _KEY) if kind == "k" and len(raw) <= _SIZE else None
    )


def unpack(raw: bytes, kind: int) -> str:
    """The subject that `pack` made this of."""
    if kind == _CUSTOMER:
        return f"c:{uuid.UUID(bytes=raw)}"
    return f"k:{raw.rstrip(bytes(1)).decode('utf-8', 'replace')}"
