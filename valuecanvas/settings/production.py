"""Refuses a start in production with settings that are unsafe together."""

import ipaddress
import itertools
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from valuecanvas.settings import secret_strength
from valuecanvas.settings.base import PRODUCTION
from valuecanvas.settings.celery import CELERY_BROKER_URL
from valuecanvas.settings.database import DATABASE_URL, REDIS_URL
from valuecanvas.settings.gateway import (
    LLM_ALLOW_HTTP_PROVIDERS,
    OPENAI_BASE_URL,
    TOGETHER_BASE_URL,
)
from valuecanvas.settings.observability import METRICS_TOKEN
from valuecanvas.settings.security import (
    FIELD_KEY,
    FIELD_KEY_PREVIOUS,
    JWT_SECRET,
    KEY_PEPPER,
    KEY_PEPPER_PREVIOUS,
    SECRET_KEY,
)

_USUAL_PASSWORDS = frozenset(
    (
        "admin", "default", "foobared", "guest", "postgres", "postgresql", "redis",
        "root", "test", "valkey", "valuecanvas", "vc", "123456", "12345678",
    )
)  # fmt: skip


def _is_here(parts: SplitResult) -> bool:
    """Whether the server is on this machine: a socket, or a loopback address."""
    host = parts.hostname or ""
    try:
        return not host or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or unquote(host).startswith("/")


def _refuse_equal_secrets() -> None:
    """One that leaks must not give away another."""
    secrets = {
        "SECRET_KEY": SECRET_KEY,
        "KEY_PEPPER": KEY_PEPPER,
        "FIELD_KEY": FIELD_KEY,
        "JWT_SECRET": JWT_SECRET,
        "METRICS_TOKEN": METRICS_TOKEN,
    }
    for (name, value), (other, same) in itertools.combinations(secrets.items(), 2):
        if value and value == same:
            raise ImproperlyConfigured(f"{name} and {other} must differ.")
    if FIELD_KEY in FIELD_KEY_PREVIOUS:
        raise ImproperlyConfigured("FIELD_KEY must not be in FIELD_KEY_PREVIOUS.")
    if KEY_PEPPER in KEY_PEPPER_PREVIOUS:
        raise ImproperlyConfigured("KEY_PEPPER must not be in KEY_PEPPER_PREVIOUS.")


def _refuse_usual_password(name: str, url: str) -> None:
    parts = urlsplit(url)
    password = unquote(parts.password or "").lower()
    usual = password in _USUAL_PASSWORDS or password == (parts.username or "").lower()
    example = any(one in password for one in secret_strength.EXAMPLES)
    if password and (usual or example):
        raise ImproperlyConfigured(
            f"{name} has a password that everybody knows. Give that server's user one "
            "of: openssl rand -hex 24"
        )


def _require_redis_password(name: str, url: str) -> None:
    parts = urlsplit(url)
    certificate = "ssl_certfile" in parse_qs(parts.query)
    if parts.scheme in ("redis", "rediss") and not (
        parts.password or certificate or _is_here(parts)
    ):
        raise ImproperlyConfigured(
            f"{name} has no password, and its server is not on this machine. Give that "
            "server a password, and write rediss://:PASSWORD@host:6379/0."
        )


def _refuse_private_provider(name: str, url: str) -> None:
    host = urlsplit(url).hostname or ""
    try:
        private = not ipaddress.ip_address(host).is_global
    except ValueError:
        private = host == "localhost" or host.endswith((".localhost", ".internal"))
    if private and not LLM_ALLOW_HTTP_PROVIDERS:
        raise ImproperlyConfigured(
            f"{name} is no public address; LLM_ALLOW_HTTP_PROVIDERS=on allows it."
        )


if PRODUCTION:
    _refuse_equal_secrets()
    for _name, _url in {
        "DATABASE_URL": DATABASE_URL,
        "REDIS_URL": REDIS_URL,
        "CELERY_BROKER_URL": CELERY_BROKER_URL,
    }.items():
        _refuse_usual_password(_name, _url)
        _require_redis_password(_name, _url)
    _refuse_private_provider("OPENAI_BASE_URL", OPENAI_BASE_URL)
    _refuse_private_provider("TOGETHER_BASE_URL", TOGETHER_BASE_URL)
