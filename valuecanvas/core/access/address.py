"""Where a request comes from, as far as it can be believed."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

# What one subscriber has: of IPv6 a whole network, not an address.
_IPV6_PREFIX = 64


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def client(peer: str, forwarded: str) -> Address | None:
    """The client's address; None: it is not known.

    `peer` is who is connected. Behind a proxy that we trust (TRUST_PROXY) it is the last
    of X-Forwarded-For, `forwarded`, which that proxy wrote: the others anybody could.
    """
    named = forwarded.rpartition(",")[2].strip() if settings.TRUST_PROXY else ""
    try:
        found = ipaddress.ip_address(named or peer)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def client_address(peer: str, forwarded: str) -> str:
    """The client's address; of IPv6 its network. Unknown ones are all the same: ''."""
    found = client(peer, forwarded)
    if found is None or found.version == 4:
        return str(found or "")
    return str(ipaddress.ip_network((int(found), _IPV6_PREFIX), strict=False))


def of_request(request: HttpRequest) -> str:
    """The same, of one of Django's requests."""
    sent = request.META
    return client_address(
        sent.get("REMOTE_ADDR", ""), sent.get("HTTP_X_FORWARDED_FOR", "")
    )
