"""Logging in to the admin: second factors, recent log-ins, single sign-on."""

import hashlib
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from valuecanvas import env
from valuecanvas.settings.base import PRODUCTION, WEB_SCHEMES

ADMIN_MFA = env.choice(
    "ADMIN_MFA",
    "Whether staff need a second factor. Unset: required in production.",
    "required" if PRODUCTION else "optional",
    ("required", "optional"),
)
RECENT_LOGIN_S = env.integer(
    "RECENT_LOGIN_S",
    "Dangerous acts in the admin need a log-in of the last seconds, so many.",
    900,
    low=60,
    high=43_200,
)
OIDC_ISSUER = env.url(
    "OIDC_ISSUER",
    "Identity provider of the staff, for single sign-on to the admin.",
    schemes=WEB_SCHEMES,
).rstrip("/")
OIDC_CLIENT_ID = env.text("OIDC_CLIENT_ID", "Our client id at OIDC_ISSUER.")
OIDC_CLIENT_SECRET = env.text("OIDC_CLIENT_SECRET", "Our secret at OIDC_ISSUER.")
OIDC_NAME = env.text(
    "OIDC_NAME", "Name of the provider on the log-in page.", "single sign-on"
)
OIDC_CREATE_USERS = env.flag(
    "OIDC_CREATE_USERS",
    "Create an account without rights for whoever OIDC_ISSUER vouches for.",
    default=False,
)
OIDC_GROUPS_CLAIM = env.text(
    "OIDC_GROUPS_CLAIM", "Claim that lists the groups of a person.", "groups"
)
OIDC_GROUPS = env.pairs(
    "OIDC_GROUPS",
    "Value of the claim = name of our group, with commas; %20 is a space.",
)
OIDC_MFA_VALUES = env.words(
    "OIDC_MFA_VALUES",
    "Values of amr or acr that count as a second factor. Empty: ours is asked for.",
)
if OIDC_ISSUER and not (OIDC_CLIENT_ID and OIDC_CLIENT_SECRET):
    raise ImproperlyConfigured(
        "Set OIDC_CLIENT_ID and OIDC_CLIENT_SECRET beside OIDC_ISSUER."
    )
# People are known by (issuer, sub): another issuer gets another name.
OIDC_PROVIDER = f"oidc-{hashlib.sha256(OIDC_ISSUER.encode()).hexdigest()[:16]}"

_DOOR = "valuecanvas.site.door"
# What `manage.py rotate_field_keys` seals again besides the columns of our own models.
MORE_SEALED = {"mfa.Authenticator.data": f"{_DOOR}.factor_secrets.reseal_factors"}
ACCOUNT_ADAPTER = f"{_DOOR}.adapters.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_FORMS = {"reauthenticate": f"{_DOOR}.door_forms.PasswordForm"}
ACCOUNT_LOGIN_METHODS = {"username"}
# Our lockout counts failures of every kind; allauth's limits would count apart.
ACCOUNT_RATE_LIMITS = False
ACCOUNT_REAUTHENTICATION_METHODS = ("password", "mfa")
ACCOUNT_REAUTHENTICATION_TIMEOUT = RECENT_LOGIN_S
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
MFA_ADAPTER = f"{_DOOR}.adapters.MfaAdapter"
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_FORMS = {
    "activate_totp": f"{_DOOR}.door_forms.AddAppForm",
    "add_webauthn": f"{_DOOR}.door_forms.AddPasskeyForm",
    "edit_webauthn": f"{_DOOR}.door_forms.RenamePasskeyForm",
    "authenticate": f"{_DOOR}.door_forms.CodeForm",
    "authenticate_webauthn": f"{_DOOR}.door_forms.PasskeyForm",
    "login_webauthn": f"{_DOOR}.door_forms.PasskeyLoginForm",
    "reauthenticate": f"{_DOOR}.door_forms.ReauthenticateCodeForm",
    "reauthenticate_webauthn": f"{_DOOR}.door_forms.ReauthenticatePasskeyForm",
}
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RATE_LIMITS = False
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_TOTP_ISSUER = "ValueCanvas"
# One period before and after: clocks of phones differ.
MFA_TOTP_TOLERANCE = 1
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not PRODUCTION
SOCIALACCOUNT_ADAPTER = f"{_DOOR}.adapters.SocialAdapter"
# A form that leads to the provider's host would need it in CSP's form-action.
SOCIALACCOUNT_LOGIN_ON_GET = True
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": OIDC_PROVIDER,
                "name": OIDC_NAME,
                "client_id": OIDC_CLIENT_ID,
                "secret": OIDC_CLIENT_SECRET,
                "settings": {"server_url": OIDC_ISSUER},
            }
        ]
        if OIDC_ISSUER
        else [],
    }
}
