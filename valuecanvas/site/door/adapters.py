"""What differs from allauth's ways: who may enter, where secrets are sealed."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.stages import AuthenticateStage
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from valuecanvas.core.access.recent_login import is_recent
from valuecanvas.core.audit.record import record
from valuecanvas.site.door import oidc
from valuecanvas.site.door.factor_secrets import seal_text, unseal_text
from valuecanvas.site.door.factors import (
    PROVIDER_MFA,
    begin_session,
    is_last_factor,
    record_event,
)

NOT_STAFF = "This account may not enter here: ask a superuser."


class SecondFactorStage(AuthenticateStage):  # type: ignore[misc]  # allauth has no types
    """Asks for the second factor, unless the identity provider did."""

    def _should_handle(self, request: HttpRequest) -> bool:
        by_provider = request.session.get(PROVIDER_MFA)
        return not by_provider and bool(super()._should_handle(request))


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Staff only, no sign-up, no mail."""

    def get_login_stages(self) -> list[str]:
        return [f"{__name__}.{SecondFactorStage.__name__}"]

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_safe_url(self, url: str) -> bool:
        request = context.request
        return url_has_allowed_host_and_scheme(
            url, {request.get_host()}, require_https=request.is_secure()
        )

    def pre_login(
        self, request: HttpRequest, user: Any, **options: Any
    ) -> HttpResponse | None:
        if not (user.is_active and user.is_staff):
            return self.respond_user_inactive(request, user)
        social = (options.get("signal_kwargs") or {}).get("sociallogin")
        # Before the stage of the second factor.
        request.session[PROVIDER_MFA] = bool(social) and oidc.is_mfa_proved(social)
        found: HttpResponse | None = super().pre_login(request, user, **options)
        return found

    def respond_user_inactive(self, request: HttpRequest, user: Any) -> HttpResponse:
        return refuse_login(request, NOT_STAFF)

    def login(self, request: HttpRequest, user: Any) -> None:
        super().login(request, user)
        begin_session(request)
        name = user.get_username()
        record("login.succeeded", kind="auth.user", object_id=str(user.pk), label=name)

    def reauthenticate(self, user: Any, password: str) -> bool:
        return bool(user.is_active and user.check_password(password))

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        linked = SocialAccount.objects.filter(
            user_id=user.pk, provider=settings.OIDC_PROVIDER
        )
        if settings.OIDC_ISSUER and linked.exists():
            # Who has no password here; the provider asks for theirs again.
            url = f"{reverse('openid_connect_login')}?auth_params=prompt%3Dlogin"
            text = f"Log in with {settings.OIDC_NAME}"
            found.append({"id": "oidc", "description": text, "url": url})
        return found

    def is_reauthentication_required(self, *, app: str, **options: Any) -> bool:
        return not is_recent(context.request)

    def add_message(
        self, request: HttpRequest, level: int, *args: Any, **kwargs: Any
    ) -> None:
        template = str(kwargs.get("message_template") or next(iter(args), ""))
        if "logged_in" not in template and "recovery_codes" not in template:
            super().add_message(request, level, *args, **kwargs)

    def send_notification_mail(
        self, template_prefix: str, user: User, *args: Any, **kwargs: Any
    ) -> None:
        """Record what allauth would send a mail about."""
        record_event(template_prefix.rpartition("/")[2], user)


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """Secrets are sealed; the last factor stays where one is required."""

    def encrypt(self, text: str) -> str:
        return seal_text(text)

    def decrypt(self, encrypted_text: str) -> str:
        return unseal_text(encrypted_text)

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        return not is_last_factor(authenticator)


class SocialAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Single sign-on for staff, by (issuer, sub)."""

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        fault = oidc.find_fault(sociallogin)
        if not fault and not sociallogin.is_existing:
            if (user := oidc.find_staff(sociallogin)) is not None:
                sociallogin.connect(request, user)
            elif not settings.OIDC_CREATE_USERS:
                fault = NOT_STAFF
        if fault:
            raise ImmediateHttpResponse(refuse_login(request, fault))
        if sociallogin.is_existing:
            oidc.update_groups(sociallogin)

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return bool(settings.OIDC_CREATE_USERS)

    def save_user(
        self, request: HttpRequest, sociallogin: Any, form: Any = None
    ) -> Any:
        """Create the account: it may enter, and has the rights of its groups alone."""
        sociallogin.user.is_staff = True
        user = super().save_user(request, sociallogin, form)
        oidc.update_groups(sociallogin)
        record_event("account_created", user)
        return user

    def on_authentication_error(
        self, request: HttpRequest, provider: Any, *args: Any, **kwargs: Any
    ) -> None:
        error = kwargs.get("exception") or kwargs.get("error")
        oidc.log.warning("login.oidc_failed", error=type(error).__name__)
        text = f"Signing in with {settings.OIDC_NAME} failed. Try again."
        raise ImmediateHttpResponse(refuse_login(request, text))


def refuse_login(request: HttpRequest, text: str) -> HttpResponse:
    """Back to the log-in page, with a message."""
    messages.error(request, text)
    return redirect("admin:login")
