"""Failpoints: named places at which a test can kill this process."""

import itertools
import os
import signal

from django.conf import settings

_NAME, _, _at = settings.FAILPOINT.partition(":")
_AT = int(_at or 1)
_hits = itertools.count(1)


def hit(name: str, reached: object = True) -> None:
    """Die by SIGKILL here if VALUECANVAS_FAILPOINT is `name`, or `name:N` the Nth time.

    A place counts as reached where `reached` is true.
    """
    if _NAME and name == _NAME and reached and next(_hits) == _AT:
        os.kill(os.getpid(), signal.SIGKILL)
