"""Secrets that are shown once, on the page after the form: a reload issues no other."""

import base64

from django.http import HttpRequest

from valuecanvas.core.crypto import seal, unseal

# In the session of who issued them: the sealed texts that were not shown yet.
KEPT = "shown_once"


def keep_secret(request: HttpRequest, owner: str, text: str) -> None:
    """Keep `text` for the next page. `owner` says what it is of."""
    sealed = base64.b64encode(seal(text, owner)).decode()
    request.session[KEPT] = {**request.session.get(KEPT, {}), owner: sealed}


def take_secret(request: HttpRequest, owner: str) -> str:
    """The text that was kept, and no more; '' if it was shown already."""
    kept = request.session.get(KEPT, {})
    sealed = kept.pop(owner, None)
    if sealed is None:
        return ""
    request.session[KEPT] = kept
    return unseal(base64.b64decode(sealed), owner)
