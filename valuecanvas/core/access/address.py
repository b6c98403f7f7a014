"""The client's address of a request, as far as it can be trusted."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

# One subscriber has a whole IPv6 network, not one address.
_IPV6_PREFIX = 64


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def client(peer: str, forwarded: str) -> Address | None:
    """The client's address; None: unknown.

    `peer` is the address of the connection. Behind a trusted proxy (TRUST_PROXY) the
    client is the last entry of X-Forwarded-For, `forwarded`: clients can forge the others.
    """
    named = forwarded.rpartition(",")[2].strip() if settings.TRUST_PROXY else ""
    try:
        found = ipaddress.ip_address(named or peer)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def client_address(peer: str, forwarded: str) -> str:
    """The client's address, for IPv6 its network; '' if unknown."""
    found = client(peer, forwarded)
    if found is None or found.version == 4:
        return str(found or "")
    return str(ipaddress.ip_network((int(found), _IPV6_PREFIX), strict=False))


def of_request(request: HttpRequest) -> str:
    """The same for a Django request."""
    sent = request.META
    return client_address(
        sent.get("REMOTE_ADDR", ""), sent.get("HTTP_X_FORWARDED_FOR", "")
    )
