"""Who a request of the cold path counts for, told without asking the database."""

import re

from django.conf import settings

from valuecanvas.core.access import address, session_store
from valuecanvas.http.hot_body import Scope

_SESSION = re.compile(
    rf"(?:^|; ?){re.escape(settings.SESSION_COOKIE_NAME)}=([0-9a-z]+)(?:;|$)".encode()
)


def identify(scope: Scope) -> str:
    """The session of somebody who has logged in, else the client's address.

    So people who work here have turns of their own where a flood has their address, as
    behind a proxy that is not trusted. Of other sessions anybody can have as many as they like.
    """
    sent = dict(scope["headers"])
    cookie = _SESSION.search(sent.get(b"cookie", b""))
    key = cookie[1].decode() if cookie else ""
    if session_store.is_of_login(key):
        return f"session:{key}"
    peer = (scope.get("client") or ("",))[0]
    return address.client_address(
        peer, sent.get(b"x-forwarded-for", b"").decode("latin-1")
    )
