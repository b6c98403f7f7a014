"""The page 'Your account': password, second factors, sessions."""

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.views import (
    GenerateRecoveryCodesView,
    ViewRecoveryCodesView,
)
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.internal import auth
from allauth.mfa.webauthn.views import (
    AddWebAuthnView,
    EditWebAuthnView,
    RemoveWebAuthnView,
)
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.views.generic import TemplateView

from valuecanvas.core.access.recent_login import record_proof, require_recent_login
from valuecanvas.core.admin.pages import post_only
from valuecanvas.site.door.door_forms import NewPasswordForm
from valuecanvas.site.door.factors import (
    end_sessions,
    is_last_factor,
    needs_factor,
    record_event,
)
from valuecanvas.site.door.login_pages import Frame, Lockout

HOME = reverse_lazy("mfa_index")
LAST = "A second factor is required here: add another one first, then remove this."


class AccountFrame(Frame):
    """A page of 'Your account'; while a factor is missing, without the sidebar."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found = super().get_context_data(**kwargs)
        missing = needs_factor(self.request)
        if missing:
            found["is_nav_sidebar_enabled"] = False
        return {**found, "missing": missing}


class RecentFrame(AccountFrame):
    """A page of it that needs a recent log-in."""

    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        require_recent_login(request)
        answer: HttpResponseBase = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]  # a mixin of views
        return answer


class AccountPage(AccountFrame, TemplateView):
    """What the account has, and where each is changed."""

    title = "Your account"
    template_name = "admin/door/account.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        mine = Authenticator.objects.filter(user=self.request.user).order_by("pk")
        kinds = Authenticator.Type
        codes = mine.filter(type=kinds.RECOVERY_CODES).first()
        return {
            **super().get_context_data(**kwargs),
            "required": settings.ADMIN_MFA == "required",
            "app": mine.filter(type=kinds.TOTP).first(),
            "passkeys": mine.filter(type=kinds.WEBAUTHN),
            "codes": codes,
            "codes_left": len(codes.wrap().get_unused_codes()) if codes else 0,
        }


class PasswordPage(Lockout, AccountFrame, PasswordChangeView):
    """A new password ends all other sessions of the account."""

    title = "Change the password"
    template_name = "admin/door/form.html"
    form_class = NewPasswordForm
    success_url = HOME
    extra_context = {"verb": "Change the password"}

    def form_valid(self, form: Any) -> HttpResponse:
        answer = super().form_valid(form)
        record_proof(self.request)
        messages.success(self.request, "The password is changed.")
        return answer


class AddAppPage(RecentFrame, ActivateTOTPView):  # type: ignore[misc]  # allauth has no types
    """Shows the secret once, and asks for the first code."""

    title = "Add an authenticator app"
    template_name = "admin/door/add_app.html"


class RemoveAppPage(RecentFrame, DeactivateTOTPView):  # type: ignore[misc]  # allauth has no types
    """Asks, then forgets the app."""

    title = "Remove the authenticator app"
    template_name = "admin/door/remove.html"
    extra_context = {"last": LAST}


class AddPasskeyPage(RecentFrame, AddWebAuthnView):  # type: ignore[misc]  # allauth has no types
    """Has the browser make a passkey."""

    title = "Add a passkey"
    template_name = "admin/door/add_passkey.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found = super().get_context_data(**kwargs)
        # One that finds the account by itself, and asks for a finger, a face or a PIN.
        options = auth.begin_registration(self.request.user, passwordless=True)
        return {**found, "js_data": {"creation_options": options}}


class RenamePasskeyPage(RecentFrame, EditWebAuthnView):  # type: ignore[misc]  # allauth has no types
    title = "Rename the passkey"
    template_name = "admin/door/form.html"
    success_url = HOME
    extra_context = {"verb": "Save"}


class RemovePasskeyPage(RecentFrame, RemoveWebAuthnView):  # type: ignore[misc]  # allauth has no types
    """Asks, then forgets the passkey."""

    title = "Remove the passkey"
    template_name = "admin/door/remove.html"
    success_url = HOME

    def form_valid(self, form: Any) -> HttpResponse:
        if is_last_factor(self.object):
            messages.error(self.request, LAST)
            return redirect(HOME)
        answer: HttpResponse = super().form_valid(form)
        return answer


class CodesPage(RecentFrame, ViewRecoveryCodesView):  # type: ignore[misc]  # allauth has no types
    """Shows the recovery codes once."""

    title = "Recovery codes"
    template_name = "admin/door/codes.html"


class NewCodesPage(RecentFrame, GenerateRecoveryCodesView):  # type: ignore[misc]  # allauth has no types
    """New recovery codes void the old ones."""

    title = "New recovery codes"
    template_name = "admin/door/new_codes.html"


def _log_out_elsewhere(request: HttpRequest) -> HttpResponse:
    require_recent_login(request)
    user: Any = request.user  # signed in
    ended = end_sessions(user, keep=str(request.session.session_key))
    record_event("sessions_ended", user)
    messages.success(request, f"Ended {ended} other sessions.")
    return redirect(HOME)


log_out_elsewhere = post_only(_log_out_elsewhere, "index")
