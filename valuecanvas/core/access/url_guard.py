"""Refuses URLs in our own networks, and of metadata services.

Used when a URL is saved, and again for each address that is connected to: a name may
change its address in between (DNS rebinding).
"""

import ipaddress
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

NO_PORT = -1
# Addresses that DNS64 makes of IPv4 addresses, which are checked.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class OffLimits(OSError):
    """The address is not allowed; nothing was sent. The message says why."""


@dataclass(frozen=True, slots=True)
class UrlGuard:
    """Allows https:// on public addresses alone, unless `setting` is on."""

    # The name of a setting, so that messages can say what to change.
    setting: str

    @property
    def plain(self) -> str:
        return f"Its URL is not https://, which {self.setting}=off refuses."

    @property
    def private(self) -> str:
        return f"Its address is not a public one: {self.setting}=off refuses it."

    def allows_all(self) -> bool:
        """Whether every address is allowed."""
        return bool(getattr(settings, self.setting))

    def check_url(self, url: str) -> None:
        """Raises ValidationError for a URL that may not be saved."""
        parts = urlsplit(url)
        if parts.username or parts.password:
            raise ValidationError("Put no name or password in the URL.")
        if port_of(parts) == NO_PORT:
            raise ValidationError("A port is a number up to 65535.")
        if self.allows_all():
            return
        if parts.scheme != "https":
            raise ValidationError("Use https://.")
        if not parts.hostname:
            raise ValidationError("The URL names no host.")
        if _is_inside(parts.hostname or ""):
            raise ValidationError(
                f"This address is not a public one. {self.setting}=on allows it."
            )

    def require_https(self, url: str) -> None:
        """Raises OffLimits for a URL that may not be called."""
        if not self.allows_all() and not url.startswith("https:"):
            raise OffLimits(self.plain)

    def open_socket(self, address: tuple[Any, ...]) -> socket.socket:
        """The socket for an answer of getaddrinfo. Raises OffLimits."""
        family, kind, proto, _, where = address
        if not self.allows_all() and not is_public(where[0]):
            raise OffLimits(self.private)
        return socket.socket(family, kind, proto)

    def resolve_address(self, host: str, port: int) -> str:
        """The first public address of a host. Raises OffLimits, OSError. Blocks."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        public = (str(where[0]) for *_, where in found if is_public(str(where[0])))
        address = next(public, None)
        if address is None:
            raise OffLimits(self.private)
        return address


def port_of(parts: SplitResult) -> int | None:
    """The port of a URL; NO_PORT: not a number of a port."""
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
    if ":" in name:
        # With or without a zone, which no look-up needs to know.
        return not is_public(name)
    try:
        # Every spelling of an address: 127.1, 0x7f000001 and 2130706433 are the same.
        found = socket.getaddrinfo(name, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False
    return not all(is_public(str(where[0])) for *_, where in found)
