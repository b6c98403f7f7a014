"""The button by which superusers reset somebody's second factors."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.enums import ActionVariant

from valuecanvas.core.access.recent_login import require_recent_login
from valuecanvas.core.admin.bases import action
from valuecanvas.site.door.factors import reset_factors


class ResetFactorsMixin:
    """For the admin of users; it stands before the other bases."""

    actions_detail = ("reset_factors_page",)

    def has_reset_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    @action(
        description="Reset the second factor",
        url_path="reset-mfa",
        icon="lock_reset",
        permissions=["reset"],
        variant=ActionVariant.DANGER,
    )
    def reset_factors_page(self, request: HttpRequest, object_id: str) -> HttpResponse:
        admin: Any = self
        user: User = admin.find_object(request, object_id)
        require_recent_login(request)
        back = admin.change_url(user)
        if request.method != "POST":
            page: HttpResponse = admin.page(
                request,
                "admin/confirm.html",
                title=f"Reset the second factor of {user}",
                original=user,
                text="Removes the authenticator app, the passkeys and the recovery codes, "
                "and logs the account out everywhere. Make sure that it is really "
                "this person who asks.",
                verb="Reset it",
                danger=True,
                back=back,
            )
            return page
        count = reset_factors(user)
        admin.record(request, [user], f"Reset {count} second factors.")
        messages.success(request, f"Removed {count} second factors of {user}.")
        return redirect(back)
