"""Pages for logging in: password, second factor, passkey, and re-authentication."""

from typing import Any

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from allauth.account.views import ReauthenticateView
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.base.views import ReauthenticateView as MfaReauthenticateView
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.views import LoginWebAuthnView, ReauthenticateWebAuthnView
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from valuecanvas.core.access.recent_login import record_proof
from valuecanvas.site.login import LoginForm


class Frame:
    """A view with the admin's header and sidebar."""

    request: Any
    title = ""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        self.request.current_app = admin.site.name
        found = super().get_context_data(**kwargs)  # type: ignore[misc]  # a mixin of views
        # Unfold's header would link to its list, which there is not.
        found.pop("object", None)
        return {
            **admin.site.each_context(self.request),
            **found,
            "title": self.title,
        }


class Lockout:
    """A view whose form may be locked: that is 429, with the time left."""

    def form_invalid(self, form: Any) -> HttpResponse:
        answer: HttpResponse = super().form_invalid(form)  # type: ignore[misc]  # a mixin of views
        return mark_lockout(answer, form)


def mark_lockout(answer: HttpResponse, form: Any) -> HttpResponse:
    """Give the answer to a form that is locked its status and the time left."""
    if form.locked_s:
        answer.status_code = 429
        answer["Retry-After"] = str(form.locked_s)
    return answer


class LoginPage(Frame, Lockout, LoginView):
    """Name and password; then the second factor, if the account has one."""

    title = "Log in"
    template_name = "admin/login.html"
    authentication_form = LoginForm

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if admin.site.has_permission(request):
            return redirect("admin:index")
        return super().get(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        next_url = self.get_redirect_url() or reverse("admin:index")
        return {
            **super().get_context_data(**kwargs),
            "subtitle": None,
            "app_path": self.request.get_full_path(),
            "username": self.request.user.get_username(),
            "next": next_url,
            "oidc_name": settings.OIDC_ISSUER and settings.OIDC_NAME,
        }

    def get_default_redirect_url(self) -> str:
        return reverse("admin:index")

    def form_valid(self, form: Any) -> HttpResponse:
        login = Login(user=form.get_user(), redirect_url=self.get_success_url())
        name = {"username": form.get_user().get_username()}
        found: HttpResponse = perform_password_login(self.request, name, login)
        return found


class SecondFactorPage(Frame, Lockout, AuthenticateView):  # type: ignore[misc]  # allauth has no types
    """The second step of a log-in."""

    title = "Second factor"
    template_name = "admin/door/second_factor.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found = super().get_context_data(**kwargs)
        user = self.stage.login.user
        mine = Authenticator.objects.filter(user=user)
        return {**found, "has_passkeys": mine.filter(type="webauthn").exists()}


class PasskeyLogin(LoginWebAuthnView):  # type: ignore[misc]  # allauth has no types
    """Logs in by a passkey alone; the page is LoginPage."""

    def form_invalid(self, form: Any) -> HttpResponse:
        tell_errors(self.request, form)
        return redirect("admin:login")


class Reauthentication(Frame, Lockout):
    """One way of proving that it is still the same person."""

    title = "Confirm that it is you"
    template_name = "admin/door/reauthenticate.html"

    def form_valid(self, form: Any) -> HttpResponse:
        record_proof(self.request)
        answer: HttpResponse = super().form_valid(form)  # type: ignore[misc]  # a mixin of views
        return answer

    def get_default_success_url(self) -> str:
        return reverse("admin:index")


class ReauthenticateByPassword(Reauthentication, ReauthenticateView):  # type: ignore[misc]  # allauth has no types
    """Without a password, allauth leads to another way."""


class ReauthenticateByCode(Reauthentication, MfaReauthenticateView):  # type: ignore[misc]  # allauth has no types
    """By the authenticator app, or a recovery code."""


class ReauthenticateByPasskey(Reauthentication, ReauthenticateWebAuthnView):  # type: ignore[misc]  # allauth has no types
    """By a passkey."""

    def form_invalid(self, form: Any) -> HttpResponse:
        tell_errors(self.request, form)
        return redirect(self.request.get_full_path())


def tell_errors(request: HttpRequest, form: Any) -> None:
    """Show the errors of a form that has no page of its own."""
    for texts in form.errors.values():
        for text in texts:
            messages.error(request, text)
