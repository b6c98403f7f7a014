"""Recent re-authentication: dangerous acts need a proof of identity of the last minutes.

A session that was left open, or stolen, cannot issue keys or move a provider's URL. The
admin site answers StaleLogin: it asks who it is, then leads back.
"""

import time
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

# In the session: when the person last logged in or re-authenticated.
PROVED_AT = "proved_at"
ALL_ACTS = frozenset({"add", "change", "delete", "list"})


class StaleLogin(PermissionDenied):
    """The last proof of identity is too old for this act. Nothing was done."""

    def __init__(self) -> None:
        super().__init__(
            "Confirm that it is you: log in again, or re-authenticate at "
            "/admin/account/reauthenticate/, then repeat this."
        )


def record_proof(request: HttpRequest) -> None:
    """Record that the person has just proved who they are."""
    request.session[PROVED_AT] = time.time()


def is_recent(request: HttpRequest) -> bool:
    """Whether the last proof is younger than RECENT_LOGIN_S."""
    proved_at = request.session.get(PROVED_AT)
    if not isinstance(proved_at, int | float):
        return False
    return 0 <= time.time() - proved_at < settings.RECENT_LOGIN_S


def require_recent_login(request: HttpRequest) -> None:
    """Raises StaleLogin."""
    if not is_recent(request):
        raise StaleLogin


class RecentLoginAdmin:
    """An admin whose acts need a recent log-in; it stands before the other bases.

    `recent_acts` are those of ALL_ACTS that do; 'list' is what is sent from the list:
    actions on the chosen rows.
    """

    recent_acts: ClassVar[frozenset[str]] = ALL_ACTS

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kw: Any
    ) -> Any:
        act = "add" if object_id is None else "change"
        # Who may only look is not asked.
        if act in self.recent_acts and self._may(act, request):
            require_recent_login(request)
        return super().changeform_view(request, object_id, *args, **kw)  # type: ignore[misc]  # a mixin of admins

    def delete_view(self, request: HttpRequest, *args: Any, **kw: Any) -> Any:
        if "delete" in self.recent_acts and self._may("delete", request):
            require_recent_login(request)
        return super().delete_view(request, *args, **kw)  # type: ignore[misc]  # a mixin of admins

    def changelist_view(self, request: HttpRequest, *args: Any, **kw: Any) -> Any:
        if "list" in self.recent_acts and request.method == "POST":
            require_recent_login(request)
        return super().changelist_view(request, *args, **kw)  # type: ignore[misc]  # a mixin of admins

    def _may(self, act: str, request: HttpRequest) -> bool:
        return bool(getattr(self, f"has_{act}_permission")(request))
