"""A process with a bad or unsafe setting does not start, and says which and why."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from valuecanvas import env

KEY = base64.b64encode(hashlib.sha256(b"field").digest()).decode()
SAFE = {
    "VALUECANVAS_ENV": "production",
    "DATABASE_URL": "postgresql://u:p@db.example/vc",
    "REDIS_URL": "rediss://cache.example/0",
    "SECRET_KEY": hashlib.sha256(b"sign").hexdigest(),
    "KEY_PEPPER": hashlib.sha256(b"pepper").hexdigest(),
    "FIELD_KEY": KEY,
    "ALLOWED_HOSTS": "llm.example.com",
}
SHOW = (
    "import json, django.conf; s = django.conf.settings;"
    "print(json.dumps({n: getattr(s, n, None) for n in %r}, default=str))"
)


def start(
    tmp_path: Path, *names: str, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """A process that reads its settings, and shows those of `names`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in env.DECLARED and name.removesuffix("_FILE") not in env.DECLARED
    }
    # Set but empty: a developer's .env file does not reach into the tests.
    blank = dict.fromkeys(env.DECLARED, "")
    return subprocess.run(
        [sys.executable, "-c", SHOW % (names,)],
        env={**kept, **blank, "VALUECANVAS_VAR": str(tmp_path), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def read_settings(tmp_path: Path, *names: str, **variables: str) -> dict[str, Any]:
    process = start(tmp_path, *names, **variables)
    assert process.returncode == 0, process.stderr
    found: dict[str, Any] = json.loads(process.stdout)
    return found


REFUSED = [
    ({"DEBUG": "on"}, "DEBUG must be off"),
    ({"DATABASE_URL": ""}, "Set DATABASE_URL"),
    ({"DATABASE_URL": "mysql://db"}, "DATABASE_URL must be a URL"),
    ({"REDIS_URL": ""}, "Set REDIS_URL"),
    ({"SECRET_KEY": ""}, "Set SECRET_KEY (or SECRET_KEY_FILE) in production"),
    ({"FIELD_KEY": "not base64"}, "FIELD_KEY must be the base64 of 32 bytes"),
    ({"FIELD_KEY": "ü"}, "FIELD_KEY must be the base64 of 32 bytes"),
    ({"FIELD_KEY": KEY[4:]}, "FIELD_KEY must be the base64 of 32 bytes"),
    ({"SECRET_KEY": "x" * 50}, "SECRET_KEY is made of too few different"),
    ({"KEY_PEPPER": "a"}, "KEY_PEPPER has fewer than 32 characters"),
    ({"FIELD_KEY": base64.b64encode(bytes(32)).decode()}, "FIELD_KEY is made of"),
    ({"FIELD_KEY": base64.b64encode(bytes(range(32))).decode()}, "FIELD_KEY counts"),
    (
        {"JWT_SECRET": "super-secret-jwt-token-with-at-least-32-characters-long", "JWT_ISSUER": "i"},
        "JWT_SECRET contains a word from an example",
    ),
    ({"JWT_JWKS_URL": "http://a.example/jwks", "JWT_ISSUER": "i"}, "JWT_JWKS_URL must be a URL that begins with https"),
    ({"UPGRADE_URL": "http://a.example"}, "UPGRADE_URL must be a URL that begins with https"),
    ({"TOGETHER_BASE_URL": "http://a.example/v1"}, "TOGETHER_BASE_URL must begin with https"),
    ({"OPENAI_BASE_URL": "HTTP://a.example/v1"}, "OPENAI_BASE_URL must begin with https"),
    ({"LOCAL_MODEL_URL": "http://127.0.0.1:1/v1"}, "LOCAL_MODEL_URL must begin with https"),
    ({"DEMO_PROVIDER_URL": "http://127.0.0.1:1/v1"}, "DEMO_PROVIDER_URL must begin with https"),
    ({"ALLOWED_HOSTS": ""}, "Set ALLOWED_HOSTS in production"),
    ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS must name hosts"),
    ({"ALLOWED_HOSTS": "llm.example.com,*"}, "ALLOWED_HOSTS must name hosts"),
    ({"ALLOWED_HOSTS": "*.example.com"}, "ALLOWED_HOSTS must name hosts"),
    ({"ALLOWED_HOSTS": ".com"}, "ALLOWED_HOSTS must name hosts"),
    ({"ALLOWED_HOSTS": "."}, "ALLOWED_HOSTS must name hosts"),
    ({"ALLOWED_HOSTS": "https://llm.example.com"}, "ALLOWED_HOSTS must name hosts"),
    ({"CORS_ALLOWED_ORIGINS": "*"}, "CORS_ALLOWED_ORIGINS must name origins"),
    ({"CORS_ALLOWED_ORIGINS": "null"}, "CORS_ALLOWED_ORIGINS must name origins"),
    (
        {"CORS_ALLOWED_ORIGINS": "https://a.example/"},
        "CORS_ALLOWED_ORIGINS must name origins",
    ),
    ({"JWT_SECRET": "z"}, "Set JWT_ISSUER"),
    (
        {"JWT_SECRET": "z", "JWT_JWKS_URL": "https://a", "JWT_ISSUER": "i"},
        "not both",
    ),
    ({"VALUECANVAS_ENV": "prod"}, "VALUECANVAS_ENV must be one of"),
    ({"TRACE_URL": "https://a.example/"}, "TRACE_URL must contain {trace_id}"),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "a:4317"}, "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL"),
    ({"OTEL_EXPORTER_OTLP_HEADERS": "key"}, "OTEL_EXPORTER_OTLP_HEADERS must be pairs"),
    ({"METRICS_NETWORKS": "10.0.0.1/8"}, "METRICS_NETWORKS must be networks"),
    (
        {"LLM_MAX_IN_FLIGHT_BYTES": "1048576"},
        "LLM_MAX_IN_FLIGHT_BYTES must be at least LLM_MAX_BODY_BYTES",
    ),
    ({"BACKUP_S3_BUCKET": "ab"}, "BACKUP_S3_BUCKET must have at least 3 characters"),
    ({"BACKUP_S3_ENDPOINT": "http://a.example"}, "BACKUP_S3_ENDPOINT must be a URL that begins with https"),
    ({"BACKUP_DATABASE_URL": "mysql://db"}, "BACKUP_DATABASE_URL must be a URL"),
    ({"BATCH_MAX": "0"}, "BATCH_MAX must be a whole number from 1 to 5000"),
]  # fmt: skip


@pytest.mark.parametrize(("variables", "complaint"), REFUSED)
def test_settings__bad_or_unsafe__refuse_to_start(
    tmp_path: Path, variables: dict[str, str], complaint: str
) -> None:
    process = start(tmp_path, "DEBUG", **{**SAFE, **variables})
    assert process.returncode != 0
    errors = [line for line in process.stderr.split("\n") if "ImproperlyConf" in line]
    assert errors[-1].startswith("django.core.exceptions.ImproperlyConfigured: ")
    assert complaint in errors[-1]
    assert not [*tmp_path.iterdir()]


def test_settings__production__are_safe(tmp_path: Path) -> None:
    found = read_settings(
        tmp_path,
        "DEBUG",
        "SESSION_COOKIE_SECURE",
        "CSRF_COOKIE_SECURE",
        "SECURE_SSL_REDIRECT",
        "SECURE_HSTS_SECONDS",
        "ALLOWED_HOSTS",
        "CELERY_BROKER_URL",
        "SECURE_PROXY_SSL_HEADER",
        **SAFE,
    )
    assert found == {
        "DEBUG": False,
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "SECURE_SSL_REDIRECT": True,
        "SECURE_HSTS_SECONDS": 31_536_000,
        "ALLOWED_HOSTS": ["llm.example.com"],
        "CELERY_BROKER_URL": "rediss://cache.example/0",
        "SECURE_PROXY_SSL_HEADER": None,
    }
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("variables", "allowed"),
    [
        ({"VALUECANVAS_ENV": "embedded"}, True),
        ({"VALUECANVAS_ENV": "test"}, True),
        (SAFE, False),
        ({**SAFE, "LLM_ALLOW_HTTP_PROVIDERS": "on"}, True),
    ],
    ids=["embedded", "test", "production", "said so"],
)
def test_settings__private_providers__are_off_in_production_only(
    tmp_path: Path, variables: dict[str, str], allowed: bool
) -> None:
    name = "LLM_ALLOW_HTTP_PROVIDERS"
    assert read_settings(tmp_path, name, **variables) == {name: allowed}


def test_settings__another_broker_proxy_and_provider__are_taken(tmp_path: Path) -> None:
    found = read_settings(
        tmp_path,
        "CELERY_BROKER_URL",
        "CELERY_BROKER_TRANSPORT_OPTIONS",
        "SECURE_PROXY_SSL_HEADER",
        "PROVIDER_KEYS",
        **SAFE,
        CELERY_BROKER_URL="amqp://mq.example",
        TRUST_PROXY="on",
        PROVIDER_KEY_NAMES="MY_KEY",
        MY_KEY="k",
    )
    assert found["CELERY_BROKER_URL"] == "amqp://mq.example"
    assert found["CELERY_BROKER_TRANSPORT_OPTIONS"] is None
    assert found["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]
    assert found["PROVIDER_KEYS"]["MY_KEY"] == "k"


def test_settings__nothing_configured__take_the_embedded_engines(
    tmp_path: Path,
) -> None:
    urls = {"database_url": "postgresql://127.0.0.1:5/a", "redis_url": "redis://h:6/0"}
    (tmp_path / "engines.json").write_text(json.dumps(urls))
    names = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DEBUG")
    first = read_settings(tmp_path, *names)
    assert (first["DATABASE_URL"], first["REDIS_URL"]) == tuple(urls.values())
    assert len(first["SECRET_KEY"]) >= 50
    assert first == read_settings(tmp_path, *names)  # the secrets were kept


@pytest.mark.parametrize("text", ["", "{"])
def test_settings__engines_not_started_yet__take_the_usual_ports(
    tmp_path: Path, text: str
) -> None:
    if text:
        (tmp_path / "engines.json").write_text(text)
    found = read_settings(tmp_path, "DATABASE_URL", "REDIS_URL")
    assert found == {
        "DATABASE_URL": "postgresql://127.0.0.1:5432/valuecanvas",
        "REDIS_URL": "redis://127.0.0.1:6379/0",
    }
