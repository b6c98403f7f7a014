"""Seals the secrets of second factors, which allauth keeps in JSON."""

import base64

from allauth.mfa.models import Authenticator

from valuecanvas.core.crypto import UnreadableSecret, present_header, seal, unseal
from valuecanvas.core.db.sealed_columns import ResealCount

OWNER = "mfa"
# The secret of an app, and that of which recovery codes are made.
NAMES = ("secret", "seed")


def seal_text(text: str) -> str:
    return base64.b64encode(seal(text, OWNER)).decode()


def unseal_text(sealed: str) -> str:
    """Raises UnreadableSecret."""
    return unseal(base64.b64decode(sealed), OWNER)


def reseal_factors(*, write: bool = True) -> ResealCount:
    """Seal all with the present FIELD_KEY; without `write` only count them, as `left`."""
    count = ResealCount()
    rows = Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN)
    for row in rows.order_by("pk").iterator():
        try:
            data = {**row.data, **_resealed(row.data)}
        except UnreadableSecret:
            count.unreadable += 1
            continue
        if data == row.data:
            continue
        # A row that is written meanwhile is left to its writer.
        same = Authenticator.objects.filter(pk=row.pk, data=row.data)
        if write and same.update(data=data):
            count.resealed += 1
        else:
            count.left += 1
    return count


def _resealed(data: dict[str, str]) -> dict[str, str]:
    head = present_header()
    old = (name for name in NAMES if name in data)
    return {
        name: seal_text(unseal_text(data[name]))
        for name in old
        if not base64.b64decode(data[name]).startswith(head)
    }
