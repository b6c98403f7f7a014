"""S9: pages of foreign origins read nothing, on the hot and on the cold path."""

from collections.abc import Iterable

import pytest
from django.test import Client
from pytest_django import Settings

from valuecanvas.http import cors

OURS = "https://app.example.com"
FOREIGN = [
    "null",
    "",
    "*",
    "https://evil.example",
    "http://app.example.com",
    "https://app.example.com.evil.example",
    "https://app.example.com:444",
    "https://APP.example.com.",
    "https://appXexample.com",
    "https://sub.app.example.com",
    "https://evil.example https://app.example.com",
    "https://app.example.com, https://evil.example",
    "file://",
    "chrome-extension://app.example.com",
]
PATHS = ["/admin/", "/api/prompts", "/api/schema", "/usage", "/api/nothing"]
METHODS = ["get", "options"]


@pytest.fixture(autouse=True)
def _allowed(settings: Settings, db: None) -> None:
    settings.CORS_ALLOWED_ORIGINS = [OURS]


def permissions(headers: Iterable[str]) -> set[str]:
    names = {name.lower() for name in headers}
    return {name for name in names if name.startswith("access-control-allow")}


@pytest.mark.parametrize("origin", FOREIGN)
def test_hot_path__a_foreign_origin__gets_nothing(origin: str) -> None:
    headers: dict[str, str] = {}
    cors.allow(origin, headers, asked="authorization")
    assert permissions(headers) == set()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", METHODS)
def test_cold_path__foreign_origins__get_nothing(path: str, method: str) -> None:
    client = Client()
    for origin in FOREIGN:
        asked = {"origin": origin, "access-control-request-method": "POST"}
        answer = getattr(client, method)(path, headers=asked)
        assert permissions(answer.headers) == set(), origin


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", METHODS)
def test_cold_path__our_origin__is_named_and_sends_no_cookies(
    path: str, method: str
) -> None:
    answer = getattr(Client(), method)(path, headers={"origin": OURS})
    assert answer["Access-Control-Allow-Origin"] == OURS
    assert "Access-Control-Allow-Credentials" not in answer


def test_hot_path__our_origin__is_named_and_sends_no_cookies() -> None:
    headers: dict[str, str] = {}
    cors.allow(OURS, headers, asked="authorization")
    assert headers["Access-Control-Allow-Origin"] == OURS
    assert "Access-Control-Allow-Credentials" not in headers


def test_settings__all_origins_or_cookies__are_never_allowed(
    settings: Settings,
) -> None:
    assert not getattr(settings, "CORS_ALLOW_ALL_ORIGINS", False)
    assert not getattr(settings, "CORS_ALLOW_CREDENTIALS", False)
    assert not getattr(settings, "CORS_ALLOWED_ORIGIN_REGEXES", ())


@pytest.mark.parametrize("origin", ["*", "null", "https://*.example.com"])
def test_settings__a_wildcard_for_origins__allows_no_foreign_one(
    settings: Settings, origin: str
) -> None:
    """An origin is compared as a whole, and nothing in it is a pattern."""
    settings.CORS_ALLOWED_ORIGINS = [origin]
    headers: dict[str, str] = {}
    cors.allow("https://evil.example", headers, asked=None)
    assert permissions(headers) == set()
    answer = Client().get("/api/prompts", headers={"origin": "https://evil.example"})
    assert permissions(answer.headers) == set()
