"""Refuses ambiguous request heads (request smuggling)."""

import re

from valuecanvas.core.errors import InvalidRequest

VERSIONS = ("1.0", "1.1")
# If one is sent twice, a proxy and this server may use different ones.
SINGLE = (b"host", b"authorization", b"x-api-key")
# Of headers, what this module looks at.
_TOLD = frozenset({*SINGLE, b"transfer-encoding"})
_HOST = re.compile(rb"[A-Za-z0-9_.:%~\[\]-]+")
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)", re.IGNORECASE)

Headers = list[tuple[bytes, bytes]]


def check(method: bytes, version: str, target: bytes, headers: Headers) -> None:
    """Check a request head; header names are in lower case. Raises InvalidRequest."""
    if _is_usual(method, version, target, headers):
        return
    names = [name for name, _ in headers]
    host = _values(headers, b"host")
    for fault in (
        _fault_of_line(method, version, target, host),
        _fault_of_names(names, version),
        "" if all(map(_HOST.fullmatch, host)) else "The header 'Host' is not valid.",
        _fault_of_coding(_values(headers, b"transfer-encoding"), version),
    ):
        if fault:
            raise InvalidRequest(fault, code="invalid_http")


def _is_usual(method: bytes, version: str, target: bytes, headers: Headers) -> bool:
    """Whether nothing of the head needs a closer look: that of nearly all requests."""
    if version != "1.1" or method == b"CONNECT" or not target.startswith(b"/"):
        return False
    told: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _TOLD:
            if name in told:
                return False
            told[name] = value
    return b"transfer-encoding" not in told and (
        _HOST.fullmatch(told.get(b"host", b"")) is not None
    )


def check_offer(method: bytes, headers: Headers) -> None:
    """Check a request that offers an upgrade. Raises InvalidRequest."""
    offered = b",".join(_values(headers, b"upgrade")).lower()
    if method == b"GET" and b"websocket" in offered:
        raise InvalidRequest(
            "There are no WebSockets here; send plain HTTP requests.",
            code="websocket_unsupported",
        )


def _values(headers: Headers, wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]


def _fault_of_line(
    method: bytes, version: str, target: bytes, host: list[bytes]
) -> str:
    if version not in VERSIONS:
        return "Send an HTTP/1.1 request."
    if method == b"CONNECT":
        return "This server is not a proxy."
    if target.startswith(b"/"):
        return ""
    absolute = _ABSOLUTE.match(target)
    if absolute and [absolute[1].lower()] == [value.lower() for value in host]:
        return ""
    return "The request must name a path, or a URL whose host is that of 'Host'."


def _fault_of_names(names: list[bytes], version: str) -> str:
    if version == "1.1" and b"host" not in names:
        return "Send the header 'Host'."
    twice = next((name for name in SINGLE if names.count(name) > 1), b"")
    return f"Send the header '{twice.decode()}' once." if twice else ""


def _fault_of_coding(codings: list[bytes], version: str) -> str:
    if not codings:
        return ""
    if version != "1.1" or [one.strip().lower() for one in codings] != [b"chunked"]:
        return "Only 'Transfer-Encoding: chunked' in HTTP/1.1 is supported."
    return ""
