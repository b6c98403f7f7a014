"""Secrets, hosts, cookies and headers."""

import base64
import re

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured

from valuecanvas import env
from valuecanvas.embedded import secrets
from valuecanvas.settings import secret_strength
from valuecanvas.settings.base import PRODUCTION, VAR_DIR, WEB_SCHEMES

# A name, an address, or a parent domain (`.example.com`), but no wildcard for all.
_HOST_NAME = re.compile(r"[\w-]+|\.?[\w-]+(\.[\w-]+)+|\[[0-9A-Fa-f:.]+\]")

_ORIGIN = re.compile(r"https?://[\w.-]+(:\d+)?|https?://\[[0-9A-Fa-f:]+\](:\d+)?")


def _refuse_weak(name: str, value: str) -> None:
    weakness = secret_strength.weakness(value) if PRODUCTION and value else ""
    if weakness:
        raise ImproperlyConfigured(
            f"{name} {weakness}. Make one with: openssl rand -base64 32"
        )


def _secret(name: str, help_text: str) -> str:
    value = env.text(name, help_text)
    if value:
        return value
    if PRODUCTION:
        raise ImproperlyConfigured(f"Set {name} (or {name}_FILE) in production.")
    return secrets.load(VAR_DIR)[name]


SECRET_KEY = _secret("SECRET_KEY", "Django's signing key: 50 random characters.")
KEY_PEPPER = _secret(
    "KEY_PEPPER",
    "Secret under which API keys are hashed. Without KEY_PEPPER_PREVIOUS a new one voids all keys.",
)
KEY_PEPPER_PREVIOUS = env.words(
    "KEY_PEPPER_PREVIOUS",
    "Earlier values of KEY_PEPPER, with commas: keys of then work, and are hashed anew when they are used.",
)
FIELD_KEY = _secret(
    "FIELD_KEY", "Base64 of 32 random bytes: encrypts provider keys in the database."
)
FIELD_KEY_PREVIOUS = env.words(
    "FIELD_KEY_PREVIOUS",
    "Earlier values of FIELD_KEY, with commas: still readable, until manage.py rotate_field_keys is done.",
)
for _name, _key in (
    ("FIELD_KEY", FIELD_KEY),
    *(("FIELD_KEY_PREVIOUS", _key) for _key in FIELD_KEY_PREVIOUS),
):
    try:
        _field_key = base64.b64decode(_key, validate=True)
    except ValueError:
        _field_key = b""
    if len(_field_key) != 32:
        raise ImproperlyConfigured(f"{_name} must be the base64 of 32 bytes.")
_refuse_weak("SECRET_KEY", SECRET_KEY)
_refuse_weak("KEY_PEPPER", KEY_PEPPER)
for _pepper in KEY_PEPPER_PREVIOUS:
    _refuse_weak("KEY_PEPPER_PREVIOUS", _pepper)
_refuse_weak("FIELD_KEY", base64.b64decode(FIELD_KEY).decode("latin-1"))
ALLOWED_HOSTS = env.words(
    "ALLOWED_HOSTS",
    "Host names that this server answers to, with commas.",
    "" if PRODUCTION else "localhost,127.0.0.1,[::1],testserver",
)
if PRODUCTION and not ALLOWED_HOSTS:
    raise ImproperlyConfigured("Set ALLOWED_HOSTS in production, e.g. llm.example.com.")
for _host in ALLOWED_HOSTS if PRODUCTION else ():
    if not _HOST_NAME.fullmatch(_host):
        raise ImproperlyConfigured(
            f"ALLOWED_HOSTS must name hosts, without scheme or port; {_host!r} is none."
        )
CSRF_TRUSTED_ORIGINS = env.words(
    "CSRF_TRUSTED_ORIGINS", "Origins of the admin behind a proxy: https://host."
)
CORS_ALLOWED_ORIGINS = env.words(
    "CORS_ALLOWED_ORIGINS", "Browser origins that may call the API, with commas."
)
for _origin in CORS_ALLOWED_ORIGINS:
    if not _ORIGIN.fullmatch(_origin):
        raise ImproperlyConfigured(
            "CORS_ALLOWED_ORIGINS must name origins such as https://app.example.com, "
            f"without path or wildcard; {_origin!r} is none."
        )
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "valuecanvas.site.lost_form.csrf_failure"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = PRODUCTION
CSRF_COOKIE_SECURE = PRODUCTION
_HTTPS_REDIRECT = env.flag(
    "HTTPS_REDIRECT", "Send plain HTTP visitors of the admin to HTTPS.", default=True
)
SECURE_SSL_REDIRECT = PRODUCTION and _HTTPS_REDIRECT
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PRODUCTION
SECURE_HSTS_PRELOAD = PRODUCTION
TRUST_PROXY = env.flag(
    "TRUST_PROXY",
    "Believe X-Forwarded-Proto and the last X-Forwarded-For; only behind a proxy that sets both.",
    default=False,
)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUST_PROXY else None
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
# What differs below a path.
CSP_AT_PREFIX = {
    "/admin/": {
        # Unfold's Alpine.js evaluates the expressions in its templates; nothing is inline.
        "script-src": [SELF, UNSAFE_EVAL],
        # Unfold's colours are a style element, and its widths style attributes.
        "style-src": [SELF, UNSAFE_INLINE],
    },
    "/api/redoc": {
        # Redoc runs its search in a worker from a blob URL.
        "worker-src": [SELF, "blob:"],
        # Its style elements: empty ones, filled by scripts, and that of its scroll bars.
        "style-src": [
            SELF,
            "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
            "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='",
        ],
    },
}

JWT_SECRET = env.text("JWT_SECRET", "HS256 secret of your Supabase project's tokens.")
JWT_JWKS_URL = env.url(
    "JWT_JWKS_URL",
    "Where the identity provider publishes its RS256 or ES256 keys.",
    schemes=WEB_SCHEMES,
)
JWT_ISSUER = env.text("JWT_ISSUER", "The `iss` that bearer tokens must carry.")
JWT_AUDIENCE = env.text(
    "JWT_AUDIENCE", "The `aud` that bearer tokens must carry.", "authenticated"
)
JWT_ALLOW_ANONYMOUS = env.flag(
    "JWT_ALLOW_ANONYMOUS",
    "Accept Supabase's anonymous users (`is_anonymous`): anybody can make himself one.",
    default=False,
)
JWT_LEEWAY_S = env.integer(
    "JWT_LEEWAY_S", "Clock skew allowed on exp and nbf, in seconds.", 30, high=300
)
if (JWT_SECRET or JWT_JWKS_URL) and not JWT_ISSUER:
    raise ImproperlyConfigured("Set JWT_ISSUER beside JWT_SECRET or JWT_JWKS_URL.")
if JWT_SECRET and JWT_JWKS_URL:
    raise ImproperlyConfigured(
        "Set JWT_SECRET or JWT_JWKS_URL, not both: one kind of token is accepted."
    )
_refuse_weak("JWT_SECRET", JWT_SECRET)
