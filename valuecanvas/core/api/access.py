"""Access to endpoints: an API key needs a scope, a person needs a right.

A view declares what each of its methods needs; a method without a need is refused:

    READ = Need("prompts:read", "prompts.view_prompt")

    class Prompts(APIView):
        permission_classes = [Access]
        needs = {"GET": READ, "POST": WRITE}
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from valuecanvas.core.api.throttle import count
from valuecanvas.core.errors import NotPermitted, scope_frozen

if TYPE_CHECKING:
    # DRF's settings name the authentication, which is read while this is imported.
    from rest_framework.views import APIView


@dataclass(frozen=True, slots=True)
class Need:
    """The scope that a key needs, and the right that a person (staff) needs; without a
    right it is for keys only. A key with the scope `instead` will do, too.
    """

    scope: str
    right: str = ""
    instead: str = ""


Needs = Mapping[str, Need]


@dataclass(frozen=True, slots=True)
class KeyUser:
    """`request.user` of a call with an API key; `request.auth` is then its principal."""

    prefix: str
    scopes: frozenset[str]
    # The person who issued it; '' for somebody with a shell.
    issuer: str = ""
    frozen_scopes: frozenset[str] = frozenset()
    pk: None = field(default=None, init=False)
    is_authenticated: bool = field(default=True, init=False)
    is_anonymous: bool = field(default=False, init=False)
    is_active: bool = field(default=True, init=False)
    is_staff: bool = field(default=False, init=False)
    is_superuser: bool = field(default=False, init=False)

    def __str__(self) -> str:
        return f"key vc-{self.prefix}-…"

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """A key has scopes, and no right of the admin."""
        return False

    def has_perms(self, perms: object, obj: object = None) -> bool:
        return False

    def has_module_perms(self, app: str) -> bool:
        return False


class Access(BasePermission):
    """Allows what the view's `needs` declare. Raises NotPermitted, naming what is missing."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        method = "GET" if request.method == "HEAD" else str(request.method)
        if method.lower() not in view.http_method_names or not hasattr(
            view, method.lower()
        ):
            return bool(request.user.is_authenticated)  # 405 comes next
        need: Need | None = getattr(view, "needs", {}).get(method)
        if need is None or not request.user.is_authenticated:
            # The answer to OPTIONS is the same for everyone: 405, or the methods.
            return method == "OPTIONS" and bool(request.user.is_authenticated)
        try:
            check(request, need)
        except NotPermitted:
            # DRF counts allowed requests only; refused ones cost as much.
            count(request)
            raise
        return True


def check(request: Request, need: Need) -> None:
    """Check a need that depends on the body. Raises NotPermitted unless it is met."""
    user = request.user
    if isinstance(user, KeyUser):
        if user.scopes.isdisjoint((need.scope, need.instead)):
            if need.scope in user.frozen_scopes:
                raise scope_frozen(need.scope)
            raise NotPermitted(
                f"This key lacks the scope '{need.scope}'.", code="missing_scope"
            )
    elif not need.right:
        raise NotPermitted("Ask with an API key: this is about the key's own user.")
    elif not (user.is_active and user.is_staff and user.has_perm(need.right)):
        raise NotPermitted(f"You lack the right '{need.right}'.")
