"""A process with a bad or unsafe setting does not start, and says which and why.

S1, S6, S12, S18: weak or shared secrets, private providers, keys over plain http, and a
Redis or a database that anybody may enter.
"""

import base64
from pathlib import Path

import pytest

from tests.core.settings_process import KEY, SAFE, read_settings, start

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
    ({"CORS_ALLOWED_ORIGINS": "https://a.example/"}, "CORS_ALLOWED_ORIGINS must name origins"),
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
    # -- one secret for two purposes
    ({"KEY_PEPPER": SAFE["SECRET_KEY"]}, "SECRET_KEY and KEY_PEPPER must differ"),
    ({"SECRET_KEY": KEY}, "SECRET_KEY and FIELD_KEY must differ"),
    ({"METRICS_TOKEN": SAFE["KEY_PEPPER"]}, "KEY_PEPPER and METRICS_TOKEN must differ"),
    ({"JWT_SECRET": SAFE["SECRET_KEY"], "JWT_ISSUER": "i"}, "SECRET_KEY and JWT_SECRET must differ"),
    ({"FIELD_KEY_PREVIOUS": KEY}, "FIELD_KEY must not be in FIELD_KEY_PREVIOUS"),
    ({"FIELD_KEY_PREVIOUS": "abc"}, "FIELD_KEY_PREVIOUS must be the base64 of 32 bytes"),
    ({"KEY_PEPPER_PREVIOUS": SAFE["KEY_PEPPER"]}, "KEY_PEPPER must not be in KEY_PEPPER_PREVIOUS"),
    ({"KEY_PEPPER_PREVIOUS": "short"}, "KEY_PEPPER_PREVIOUS has fewer than 32 characters"),
    # -- passwords of examples, and none
    ({"DATABASE_URL": "postgresql://vc:postgres@db.example/vc"}, "DATABASE_URL has a password that everybody knows"),
    ({"DATABASE_URL": "postgresql://canvas:canvas@127.0.0.1/vc"}, "DATABASE_URL has a password that everybody knows"),
    ({"DATABASE_URL": "postgresql://vc:change%2Dme@db.example/vc"}, "DATABASE_URL has a password that everybody knows"),
    ({"REDIS_URL": "redis://:foobared@10.0.0.5:6379/0"}, "REDIS_URL has a password that everybody knows"),
    ({"REDIS_URL": "redis://10.0.0.5:6379/0"}, "REDIS_URL has no password"),
    ({"REDIS_URL": "rediss://cache.example:6379/0"}, "REDIS_URL has no password"),
    ({"CELERY_BROKER_URL": "redis://broker.example/1"}, "CELERY_BROKER_URL has no password"),
    ({"CELERY_BROKER_URL": "amqp://guest:guest@mq.example"}, "CELERY_BROKER_URL has a password that everybody knows"),
    # -- providers inside
    ({"OPENAI_BASE_URL": "https://10.0.0.5/v1"}, "OPENAI_BASE_URL is no public address"),
    ({"OPENAI_BASE_URL": "https://[::1]/v1"}, "OPENAI_BASE_URL is no public address"),
    ({"TOGETHER_BASE_URL": "https://169.254.169.254/v1"}, "TOGETHER_BASE_URL is no public address"),
    ({"TOGETHER_BASE_URL": "https://localhost/v1"}, "TOGETHER_BASE_URL is no public address"),
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


@pytest.mark.parametrize(
    "variables",
    [
        {"REDIS_URL": "redis://127.0.0.1:6379/0"},
        {"REDIS_URL": "redis://localhost:6379/0"},
        {"REDIS_URL": "unix:///run/valkey.sock"},
        {"REDIS_URL": "rediss://cache.example/0?ssl_certfile=/run/client.pem"},
        {"CELERY_BROKER_URL": "amqp://mq.example"},
        {"DATABASE_URL": "postgresql:///vc?host=/run/postgresql"},
        {"LLM_ALLOW_HTTP_PROVIDERS": "on", "OPENAI_BASE_URL": "http://10.0.0.5/v1"},
        {"FIELD_KEY_PREVIOUS": base64.b64encode(b"0" * 32).decode()},
    ],
    ids=lambda one: str(one)[:50],
)
def test_settings__safe__start(tmp_path: Path, variables: dict[str, str]) -> None:
    assert read_settings(tmp_path, "DEBUG", **{**SAFE, **variables}) == {"DEBUG": False}
