"""What settings a process has after its start; tests/security has what is refused."""

import json
from pathlib import Path

import pytest

from tests.core.settings_process import SAFE, read_settings


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
        "CELERY_BROKER_URL": "rediss://:r3dis@cache.example/0",
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
