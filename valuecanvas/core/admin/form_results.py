"""Admin forms that act only once: sent again, they show the first result.

The input and the result are stored for an hour, encrypted for the user who sent them,
and shown on a page that can be reloaded.
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

# The form's field with a new value each time that it is shown.
ONCE = "once"
NOT_TYPED = (ONCE, "csrfmiddlewaretoken")
KEPT = timedelta(hours=1)
MOST_BYTES = 2_000_000
KEY = re.compile(r"[0-9a-f]{64}")
GONE = "The result is no longer stored."
UNKNOWN = (
    "The form was sent, but there is no result yet. Load this page again in a moment. "
    "If this does not change, the gateway was stopped meanwhile: look in Requests for "
    "what was sent before you send it again."
)
TOO_LARGE = "The result is too large to show here."


@dataclass(frozen=True, slots=True)
class FormOutcome:
    """The input and its result; if that is None, `note` says why."""

    typed: QueryDict | None
    value: Any = None
    note: str = ""


def once(request: HttpRequest, act: Callable[[], Any]) -> HttpResponse:
    """Run `act` once and redirect to the page with its result (JSON values).

    The same form sent again by the same user is redirected without acting, also after an
    exception of `act`: it is not known what that did.
    """
    now = timezone.now()
    key = _key(request)
    kept: dict[str, Any] = {"typed": _input(request).urlencode()}
    FormResult.objects.filter(until__lte=now).delete()
    row, new = FormResult.objects.get_or_create(
        pk=key, defaults={"body": _seal(request, key, kept), "until": now + KEPT}
    )
    if new:
        kept["value"] = act()
        row.body = _seal(request, key, kept)
        if len(row.body) > MOST_BYTES:
            kept |= {"value": None, "note": TOO_LARGE}
            row.body = _seal(request, key, kept)
        row.save()
    return redirect(f"{request.path}?{urlencode({'result': key})}")


def outcome_of(request: HttpRequest) -> FormOutcome | None:
    """The stored result that the page's URL names; None: it names none."""
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
    """The same key for the same form with the same input by the same user."""
    # Without that field the form is not from a page: it counts as a new one.
    token = request.POST.get(ONCE) or secrets.token_hex()
    typed = sorted(_input(request).lists())
    parts = orjson.dumps([str(request.user.pk), request.path, token, typed])
    return hashlib.sha256(parts).hexdigest()


def _input(request: HttpRequest) -> QueryDict:
    typed = request.POST.copy()
    for name in NOT_TYPED:
        typed.pop(name, None)
    return typed


def _seal(request: HttpRequest, key: str, kept: dict[str, Any]) -> bytes:
    text = orjson.dumps(kept, default=str).decode()
    return seal(text, _owner(request, key))


def _owner(request: HttpRequest, key: str) -> str:
    return f"form result {key} {request.user.pk} {request.path}"
