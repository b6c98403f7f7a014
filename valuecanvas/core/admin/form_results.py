"""Forms of the admin that act once: sent again, they show what came of the first time.

What was typed and what came of it are kept for an hour, sealed for who sent it, and shown
by a page of their own, which may be loaded again and again.
"""

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils import timezone

from valuecanvas.core.crypto import UnreadableSecret, seal, unseal
from valuecanvas.core.models import FormResult

# The field of a form with a value of its own each time that it is shown.
ONCE = "once"
NOT_TYPED = (ONCE, "csrfmiddlewaretoken")
KEPT = timedelta(hours=1)
MOST_BYTES = 2_000_000
KEY = re.compile(r"[0-9a-f]{64}")
GONE = "What came of it is not kept any more."
UNKNOWN = (
    "It was sent, and what came of it is not known yet. Load this page again in a "
    "moment. If it stays so, the gateway was stopped meanwhile: see Requests for what "
    "was sent, before you send it again."
)
TOO_LARGE = "What came of it is too large to be shown here."


@dataclass(frozen=True, slots=True)
class FormOutcome:
    """What was typed, and its result; where that is None, `note` says why."""

    typed: QueryDict | None
    value: Any = None
    note: str = ""


def once(request: HttpRequest, act: Callable[[], Any]) -> HttpResponse:
    """Go to the page that shows what `act` returns, values for JSON.

    The same form, sent again by the same user, goes there without acting. It does so too
    after a fault of `act`: whether that did something is not known.
    """
    now = timezone.now()
    key = _key(request)
    kept: dict[str, Any] = {"typed": _typed(request).urlencode()}
    FormResult.objects.filter(until__lte=now).delete()
    row, new = FormResult.objects.get_or_create(
        pk=key, defaults={"body": _sealed(request, key, kept), "until": now + KEPT}
    )
    if new:
        kept["value"] = act()
        row.body = _sealed(request, key, kept)
        if len(row.body) > MOST_BYTES:
            kept |= {"value": None, "note": TOO_LARGE}
            row.body = _sealed(request, key, kept)
        row.save()
    return redirect(f"{request.path}?{urlencode({'result': key})}")


def outcome_of(request: HttpRequest) -> FormOutcome | None:
    """What the form came to that the page is asked for; None: for none."""
    key = request.GET.get("result")
    if key is None:
        return None
    now = timezone.now()
    row = KEY.fullmatch(key) and FormResult.objects.filter(pk=key, until__gt=now)
    found = row.first() if row else None
    try:
        text = unseal(bytes(found.body), _owner(request, key)) if found else ""
    except UnreadableSecret:  # another user's, or another page's
        text = ""
    if not text:
        return FormOutcome(None, note=GONE)
    kept = orjson.loads(text)
    note = kept.get("note", "" if "value" in kept else UNKNOWN)
    return FormOutcome(QueryDict(kept["typed"]), kept.get("value"), note)


def _key(request: HttpRequest) -> str:
    """The same for the same form with the same words; of no other user or page."""
    # Without a field of its own it is no form of a page: each is a new one.
    token = request.POST.get(ONCE) or secrets.token_hex()
    typed = sorted(_typed(request).lists())
    parts = orjson.dumps([str(request.user.pk), request.path, token, typed])
    return hashlib.sha256(parts).hexdigest()


def _typed(request: HttpRequest) -> QueryDict:
    typed = request.POST.copy()
    for name in NOT_TYPED:
        typed.pop(name, None)
    return typed


def _sealed(request: HttpRequest, key: str, kept: dict[str, Any]) -> bytes:
    text = orjson.dumps(kept, default=str).decode()
    return seal(text, _owner(request, key))


def _owner(request: HttpRequest, key: str) -> str:
    return f"form result {key} {request.user.pk} {request.path}"
