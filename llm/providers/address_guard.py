"""Refuses provider addresses in our own networks, and of metadata services.

Used when a URL is saved, and again for each address that is connected to: a name may
change its address in between (DNS rebinding).
"""

import ipaddress
import socket
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

PORTS = {"http": 80, "https": 443}
NO_PORT = -1
PLAIN = "Its URL is not https://, which LLM_ALLOW_HTTP_PROVIDERS=off refuses."
PRIVATE = "Its address is not a public one: LLM_ALLOW_HTTP_PROVIDERS=off refuses it."
# Addresses that DNS64 makes of IPv4 addresses, which are checked.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class OffLimits(OSError):
    """The address is not allowed; nothing was sent. The message says why."""


def origin(url: str) -> str:
    """The scheme, host and port: a key is only for these."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = _port(parts) or PORTS.get(parts.scheme, 0)
    return f"{parts.scheme}://{host}:{port}"


def check_url(url: str) -> None:
    """Raises ValidationError for a URL that no provider may have."""
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ValidationError("Put no name or password in the URL.")
    if parts.query or parts.fragment:
        raise ValidationError("Leave out everything after the path.")
    if _port(parts) == NO_PORT:
        raise ValidationError("A port is a number up to 65535.")
    if settings.LLM_ALLOW_HTTP_PROVIDERS:
        return
    if parts.scheme != "https":
        raise ValidationError("Use https://.")
    if _is_inside(parts.hostname or ""):
        raise ValidationError(
            "This address is not a public one. LLM_ALLOW_HTTP_PROVIDERS=on allows it."
        )


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return NO_PORT


def is_public(address: str) -> bool:
    """Whether the address is on the public internet."""
    try:
        found: _Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        found = _inner(found)
    odd = found.is_multicast or found.is_reserved or found.is_unspecified
    old = isinstance(found, ipaddress.IPv6Address) and found.is_site_local
    return found.is_global and not odd and not old


def open_socket(address: tuple[Any, ...]) -> socket.socket:
    """The socket for an answer of getaddrinfo. Raises OffLimits."""
    family, kind, proto, _, where = address
    if not settings.LLM_ALLOW_HTTP_PROVIDERS and not is_public(where[0]):
        raise OffLimits(PRIVATE)
    return socket.socket(family, kind, proto)


def resolve_address(host: str, port: int) -> str:
    """The first public address of a host. Raises OffLimits, OSError. Blocks."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    public = (str(where[0]) for *_, where in found if is_public(str(where[0])))
    address = next(public, None)
    if address is None:
        raise OffLimits(PRIVATE)
    return address


def _inner(address: ipaddress.IPv6Address) -> _Address:
    """The IPv4 address that packets to `address` reach, or `address`."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address


def _is_inside(host: str) -> bool:
    """Whether a host is internal by its name alone; names are not looked up here."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        # Every spelling of an address: 127.1, 0x7f000001 and 2130706433 are the same.
        found = socket.getaddrinfo(name, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False
    return not all(is_public(str(where[0])) for *_, where in found)
