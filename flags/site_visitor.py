"""Attributes of users of the Django site, and waffle's overrides by request."""

from typing import Any

import structlog
from django.contrib.auth.models import AnonymousUser, Group
from django.db import Error as DatabaseError
from django.http import HttpRequest
from waffle.utils import get_setting

from flags.engine.flag_facts import FlagFacts
from flags.engine.visitor import VISITOR, Visitor

log = structlog.get_logger("flags")


def context_of(user: Any, *, language: str = "") -> dict[str, object]:
    """The attributes of a Django user: `user` is the user name."""
    visitor = Visitor(
        pk=user.pk,
        superuser=bool(getattr(user, "is_superuser", False)),
        staff=bool(getattr(user, "is_staff", False)),
        authenticated=user.is_authenticated,
        language=language,
        load_groups=lambda: _groups(user),
    )
    context: dict[str, object] = {VISITOR: visitor}
    if user.pk is not None:
        context["user"] = user.get_username()
        context["targetingKey"] = f"django:{user.pk}"
    return context


def context_of_request(request: HttpRequest | None) -> dict[str, object]:
    """The attributes of the user of `request`; an anonymous one has a session key."""
    user = getattr(request, "user", None) or AnonymousUser()
    context = context_of(user, language=getattr(request, "LANGUAGE_CODE", ""))
    session = getattr(getattr(request, "session", None), "session_key", None)
    if "targetingKey" not in context and session:
        context["targetingKey"] = f"session:{session}"
    return context


def waffle_override(request: HttpRequest | None, facts: FlagFacts) -> bool | None:
    """Waffle's override by query, header or cookie; None without one."""
    if request is None:
        return None
    if get_setting("OVERRIDE") and facts.name in request.GET:
        return request.GET[facts.name] == "1"
    return _test_override(request, facts.name) if facts.testing else None


def _test_override(request: HttpRequest, name: str) -> bool | None:
    cookie = get_setting("TEST_COOKIE") % name
    header = cookie.replace("_", "-")
    override = request.GET.get(cookie, request.headers.get(header))
    if override is not None:
        # The middleware stores it in a cookie.
        tests = request.__dict__.setdefault("waffle_tests", {})
        tests[name] = override == "1"
        return override == "1"
    kept = request.COOKIES.get(cookie)
    return None if kept is None else kept == "True"


def _groups(user: Any) -> frozenset[int]:
    if user.pk is None:
        return frozenset()
    try:
        return frozenset(
            Group.objects.filter(user=user.pk).values_list("pk", flat=True)
        )
    except DatabaseError as error:
        log.warning("flags.groups_unknown", error=type(error).__name__)
        return frozenset()
