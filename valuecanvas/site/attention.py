"""What needs an operator's attention: alerts that fire, and settings that cannot work."""

from collections.abc import Callable
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef
from django.urls import reverse

from billing.alerts import alert_events
from billing.auth.issuer_rights import describe_loss, find_affected_keys
from llm.models import Model, Route

MOST = 8


class Matter(NamedTuple):
    """One line of the list, with the page that it is about."""

    text: str
    link: str
    # How bad it is, in a word, and the colour of its label: danger or warning.
    severity: str
    level: str


def find_for(user: Any) -> list[Matter] | None:
    """The matters that `user` may see, the worst first; None: the user may see none."""
    sources = [find for right, find in SOURCES.items() if user.has_perm(right)]
    if not sources:
        return None
    found = [matter for find in sources for matter in find()]
    return sorted(found, key=lambda one: one.level)[:MOST]


def _alerts() -> list[Matter]:
    page = "admin:billing_alertevent_change"
    return [
        Matter(
            one.summary,
            reverse(page, args=[one.pk]),
            one.severity,
            "danger" if one.severity in ("critical", "error") else "warning",
        )
        for one in alert_events.find_firing()[:MOST]
    ]


def models_without_route() -> list[Matter]:
    """Enabled models that no request can use."""
    usable = Route.objects.filter(
        model=OuterRef("pk"), enabled=True, provider__enabled=True
    )
    rows = Model.objects.filter(~Exists(usable), enabled=True)
    return [
        Matter(
            f"The model '{one.pk}' has no route to an enabled provider.",
            reverse("admin:llm_model_change", args=[one.pk]),
            "warning",
            "warning",
        )
        for one in rows[:MOST]
    ]


def keys_without_rights() -> list[Matter]:
    """Keys whose issuer lost the rights for their scopes."""
    return [
        Matter(
            describe_loss(key, lost),
            reverse("admin:billing_apikey_change", args=[key.pk]),
            "warning",
            "warning",
        )
        for key, lost in find_affected_keys()[:MOST]
    ]


# By the right that a user needs to see them.
SOURCES: dict[str, Callable[[], list[Matter]]] = {
    "billing.view_alertevent": _alerts,
    "llm.view_model": models_without_route,
    "billing.view_apikey": keys_without_rights,
}
