"""Middleware: what a page or a management call changes is done by its user."""

from collections.abc import Callable
from contextlib import suppress

from django.http import HttpRequest, HttpResponse, RawPostDataException

from valuecanvas.core.access import address
from valuecanvas.core.api.access import KeyUser
from valuecanvas.core.audit.audit_context import ActorKind, AuditContext, use_context
from valuecanvas.core.audit.record import record
from valuecanvas.core.ids import uuid7
from valuecanvas.core.telemetry import request_context

FORBIDDEN = 403
NOBODY = "anonymous"
MOST_REASON = 2000


class RequestAudit(AuditContext):
    """The context of one request. Its user is looked up when something is written."""

    __slots__ = ("_request",)

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        ids = request_context.current().ids
        super().__init__(
            NOBODY,
            ActorKind.PERSON,
            address.of_request(request),
            ids.get("request_id") or str(uuid7()),
        )

    def _values(self) -> dict[str, str]:
        user = getattr(self._request, "user", None)
        if isinstance(user, KeyUser):
            self.actor, self.kind = f"key vc-{user.prefix}", ActorKind.KEY
            if user.issuer:
                self.actor += f" of {user.issuer}"
        elif user is not None and user.is_authenticated:
            self.actor = user.get_username()
        found = super()._values()
        found["reason"] = (self.reason or self._form_reason())[:MOST_REASON]
        return found

    def _form_reason(self) -> str:
        """The reason that the admin's forms ask for."""
        # A body that DRF has read is no form.
        with suppress(RawPostDataException):
            return self._request.POST.get("reason", "").replace("\0", "")
        return ""


class AuditMiddleware:
    """Of the cold path; the hot path changes nothing that is audited."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with use_context(RequestAudit(request)):
            response = self._get_response(request)
            if response.status_code == FORBIDDEN and _is_staff(request):
                record("access.refused", label=f"{request.method} {request.path}")
            return response


def _is_staff(request: HttpRequest) -> bool:
    return bool(getattr(getattr(request, "user", None), "is_staff", False))
