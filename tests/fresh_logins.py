"""Sessions of the test client, with a log-in as recent as the test wants it.

`Client.force_login` makes a session without the log-in page, which would have recorded
the proof of identity.
"""

import time
from typing import Any

from django.test import Client
from django.test.client import ClientMixin

from valuecanvas.core.access.recent_login import PROVED_AT

LONG_AGO_S = 86_400


def prove(client: Any, ago_s: float = 0) -> None:
    """Let the client's session have been proved that long ago."""
    session = client.session
    session[PROVED_AT] = time.time() - ago_s
    session.save()


def make_stale(client: Client) -> None:
    prove(client, LONG_AGO_S)


def install() -> None:
    """Let every session that a test client begins be of now."""
    mixin: Any = ClientMixin  # whose stubs lack it
    begin = mixin._login

    def begin_now(self: Any, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        prove(self)

    mixin._login = begin_now
