"""PostgreSQL for persistent data, Redis for data that may be lost."""

import json
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from valuecanvas import env
from valuecanvas.settings.base import ENVIRONMENT, PRODUCTION, VAR_DIR


def _embedded_urls() -> dict[str, str]:
    """The URLs of the embedded engines, as their launcher wrote them."""
    try:
        urls: dict[str, str] = json.loads((VAR_DIR / "engines.json").read_text())
    except (OSError, ValueError):
        return {}
    return urls


def _require(name: str, value: str) -> str:
    if PRODUCTION and not value:
        raise ImproperlyConfigured(f"Set {name}: production has no embedded engines.")
    return value


_engines = _embedded_urls() if ENVIRONMENT == "embedded" else {}
DATABASE_URL = _require(
    "DATABASE_URL",
    env.url(
        "DATABASE_URL",
        "PostgreSQL 14 or newer. Unset: the embedded PostgreSQL.",
        schemes=("postgresql", "postgres"),
    ),
) or _engines.get("database_url", "postgresql://127.0.0.1:5432/valuecanvas")
REDIS_URL = _require(
    "REDIS_URL",
    env.url(
        "REDIS_URL",
        "Redis 6 or newer, or Valkey. Unset: the embedded Valkey.",
        schemes=("redis", "rediss", "unix"),
    ),
) or _engines.get("redis_url", "redis://127.0.0.1:6379/0")

DATABASES: dict[str, Any] = {
    "default": {
        # No age: under ASGI each request of the cold path has its own thread, so a
        # persistent connection would stay open and never be reused.
        **dj_database_url.parse(DATABASE_URL, conn_max_age=0, conn_health_checks=True),
    }
}
# Django's backend with a client-side timeout.
DATABASES["default"]["ENGINE"] = "valuecanvas.core.postgresql"
# An unreachable server is given up after 10 s; the URL may override these options.
DATABASES["default"]["OPTIONS"] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    **DATABASES["default"].get("OPTIONS", {}),
}
REDIS_PREFIX = env.text(
    "REDIS_PREFIX", "Put before every key in Redis, for shared servers.", "vc"
)
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": f"{REDIS_PREFIX}:django",
        "OPTIONS": {
            # Never pickle: write access to Redis must not allow running code here.
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            "IGNORE_EXCEPTIONS": True,
            "SOCKET_CONNECT_TIMEOUT": 1,
            "SOCKET_TIMEOUT": 1,
        },
    },
    "none": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
}
SESSION_ENGINE = "valuecanvas.core.access.session_store"
