"""Where a request comes from, as far as it can be believed."""

import ipaddress

from django.conf import settings

# What one subscriber has: of IPv6 a whole network, not an address.
_IPV6_PREFIX = 64


def of(peer: str, forwarded: str) -> str:
    """The client's address; of IPv6 its network. Unknown ones are all the same: ''.

    `peer` is who is connected. Behind a proxy that we trust (TRUST_PROXY) it is the last
    of X-Forwarded-For, `forwarded`, which that proxy wrote: the others anybody could.
    """
    named = forwarded.rpartition(",")[2].strip() if settings.TRUST_PROXY else ""
    try:
        found = ipaddress.ip_address(named or peer)
    except ValueError:
        return ""
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), _IPV6_PREFIX), strict=False))
