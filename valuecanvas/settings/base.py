"""Environment, apps, middleware, templates and static files."""

from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from dotenv import load_dotenv

from valuecanvas import env

BASE_DIR = Path(__file__).resolve().parents[2]
load_dotenv(BASE_DIR / ".env")

AWS_SECRETS_NAME = env.text(
    "AWS_SECRETS_NAME",
    "Secret in AWS Secrets Manager: a JSON object of settings that are set neither here nor as NAME_FILE.",
)
ENVIRONMENT = env.choice(
    "VALUECANVAS_ENV",
    "embedded: everything on this machine; production: refuses unsafe settings; test: the test suite.",
    "embedded",
    ("embedded", "production", "test"),
)
PRODUCTION = ENVIRONMENT == "production"
# Allowed schemes of URLs that carry secrets or are shown to callers.
WEB_SCHEMES = ("https",) if PRODUCTION else ("https", "http")
VAR_DIR = Path(
    env.text("VALUECANVAS_VAR", "Folder for embedded data and the disk snapshot.")
    or BASE_DIR / "var"
)
DEBUG = env.flag("DEBUG", "Django's debug pages. Never in production.", default=False)
if DEBUG and PRODUCTION:
    raise ImproperlyConfigured("DEBUG must be off when VALUECANVAS_ENV=production.")

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "valuecanvas.site.admin_site.ControlRoomConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_prometheus",
    "corsheaders",
    "csp",
    "waffle",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "valuecanvas.core",
    "valuecanvas.backups",
    "billing",
    "flags",
    "prompts",
    "llm",
    "valuecanvas",
]

# The cold path only. The hot path (valuecanvas/http/hot.py) runs none of these.
MIDDLEWARE = [
    "valuecanvas.http.page_headers.PageHeaders",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "valuecanvas.http.protocol.compression.CompressedPages",
    "corsheaders.middleware.CorsMiddleware",
    "valuecanvas.http.cors.CorsOptions",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "valuecanvas.core.audit.middleware.AuditMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "valuecanvas.site.door.required.SecondFactorRequired",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "waffle.middleware.WaffleMiddleware",
    "valuecanvas.http.database_down.DatabaseDown",
    "valuecanvas.http.page_metrics.PageMetrics",
]
ROOT_URLCONF = "valuecanvas.urls"
ASGI_APPLICATION = "valuecanvas.asgi.application"
FORM_RENDERER = "valuecanvas.core.admin.form_renderer.Renderer"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
# Without collectstatic (embedded, tests) WhiteNoise serves files from the apps.
WHITENOISE_USE_FINDERS = not PRODUCTION
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Called before a flag is saved that chooses prompt versions; flags cannot import prompts.
FLAGS_LABEL_RIGHT = "llm.flag_guard.require_publish"
WAFFLE_FLAG_MODEL = "flags.Flag"
# Rows are not JSON, and a changed flag must take effect at once.
WAFFLE_CACHE_NAME = "none"
