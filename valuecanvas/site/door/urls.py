"""URLs of the door, below /admin/. Of allauth's views only those that are used are here."""

from typing import Any

from allauth.socialaccount.providers.openid_connect.views import callback, login
from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache

from valuecanvas.site.door import account_pages, login_pages


def _page(route: str, view: type[Any], *names: str) -> list[URLPattern]:
    """A page for signed-in staff; allauth knows some by several names."""
    page = admin.site.admin_view(view.as_view())
    return [path(f"account/{route}", page, name=name) for name in names]


_PROVIDER = {"provider_id": settings.OIDC_PROVIDER}
urlpatterns = [
    path("login/", never_cache(login_pages.LoginPage.as_view()), name="account_login"),
    path(
        "account/second-factor/",
        login_pages.SecondFactorPage.as_view(),
        name="mfa_authenticate",
    ),
    path(
        "account/passkeys/login/",
        login_pages.PasskeyLogin.as_view(),
        name="mfa_login_webauthn",
    ),
    # 404 without OIDC_ISSUER.
    path("account/oidc/", never_cache(login), _PROVIDER, "openid_connect_login"),
    path(
        "account/oidc/callback/",
        never_cache(callback),
        _PROVIDER,
        "openid_connect_callback",
    ),
    *_page(
        "reauthenticate/",
        login_pages.ReauthenticateByPassword,
        "account_reauthenticate",
    ),
    *_page(
        "reauthenticate/code/", login_pages.ReauthenticateByCode, "mfa_reauthenticate"
    ),
    *_page(
        "reauthenticate/passkey/",
        login_pages.ReauthenticateByPasskey,
        "mfa_reauthenticate_webauthn",
    ),
    *_page("", account_pages.AccountPage, "mfa_index", "mfa_list_webauthn"),
    *_page("password/", account_pages.PasswordPage, "account_change_password"),
    *_page("app/add/", account_pages.AddAppPage, "mfa_activate_totp"),
    *_page("app/remove/", account_pages.RemoveAppPage, "mfa_deactivate_totp"),
    *_page("passkeys/add/", account_pages.AddPasskeyPage, "mfa_add_webauthn"),
    *_page(
        "passkeys/<int:pk>/rename/",
        account_pages.RenamePasskeyPage,
        "mfa_edit_webauthn",
    ),
    *_page(
        "passkeys/<int:pk>/remove/",
        account_pages.RemovePasskeyPage,
        "mfa_remove_webauthn",
    ),
    *_page("codes/", account_pages.CodesPage, "mfa_view_recovery_codes"),
    *_page("codes/new/", account_pages.NewCodesPage, "mfa_generate_recovery_codes"),
    path(
        "account/sessions/end/",
        admin.site.admin_view(account_pages.log_out_elsewhere),
        name="log_out_elsewhere",
    ),
]
