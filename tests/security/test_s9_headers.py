"""S9, S8: every kind of answer tells the browser what it may do with it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client
from django.utils.datastructures import CaseInsensitiveMapping
from pytest_django import Settings

from billing.usage import own_page
from tests.live.test_cold_path import Visitor
from valuecanvas import serve
from valuecanvas.http import page_headers
from valuecanvas.http.cold_path import ColdPath

ALWAYS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
POLICY = ("frame-ancestors 'none'", "default-src 'none'", "base-uri 'none'", "form-action 'self'")  # fmt: skip
TOUCHY = ("no-store", "no-cache")
# What each answer is made by: (status, method, path, further arguments of the client).
KINDS: dict[str, tuple[int, str, str, dict[str, Any]]] = {
    "page": (200, "get", "/admin/", {}),
    "list": (200, "get", "/admin/billing/tier/", {}),
    "login": (200, "get", "/admin/login/", {"stranger": True}),
    "usage": (200, "get", "/usage", {}),
    "docs": (200, "get", "/api/docs", {}),
    "docs script": (200, "get", "/api/docs?script=", {}),
    "redoc": (200, "get", "/api/redoc", {}),
    "schema": (200, "get", "/api/schema", {}),
    "rest": (200, "get", "/api/prompts", {}),
    "static": (200, "get", "/static/valuecanvas/admin.js", {}),
    "script of the admin": (200, "get", "/admin/jsi18n/", {}),
    "redirect": (302, "get", "/", {}),
    "icon": (302, "get", "/favicon.ico", {}),
    "sent to log in": (302, "get", "/admin/billing/tier/", {"stranger": True}),
    "slash appended": (301, "get", "/admin/billing/tier", {}),
    "bad host": (400, "get", "/admin/", {"headers": {"host": "evil.example"}}),
    "bad body": (400, "post", "/api/prompts", {"data": "{", "content_type": "application/json"}),
    "not authenticated": (401, "get", "/api/prompts", {"stranger": True}),
    "csrf": (403, "post", "/admin/billing/tier/add/", {"csrf": True}),
    "csrf of usage": (403, "post", "/usage", {"csrf": True}),
    "no page": (404, "get", "/nothing", {}),
    "no page of the admin": (404, "get", "/admin/nothing/", {}),
    "no route": (404, "get", "/api/nothing", {}),
    "no file": (404, "get", "/static/nothing.js", {}),
    "method": (405, "delete", "/usage", {}),
    "method of rest": (405, "put", "/api/prompts", {}),
    "options": (204, "options", "/api/prompts", {}),
}  # fmt: skip
REFUSED_OUTSIDE = ["/admin/", "/usage", "/api/prompts", "/api/redoc", "/nothing"]


@pytest.fixture
def boss(db: None) -> User:
    return User.objects.create_superuser("boss", password="pw")


def answer(boss: User, kind: str) -> tuple[int, str, HttpResponse]:
    status, method, path, more = KINDS[kind]
    more = dict(more)
    client = Client(
        enforce_csrf_checks=more.pop("csrf", False), raise_request_exception=False
    )
    if not more.pop("stranger", False):
        client.force_login(boss)
    return status, path, getattr(client, method)(path, **more)


def check(headers: Any, path: str) -> None:
    assert {name: headers[name] for name in ALWAYS} == ALWAYS
    policy = headers["Content-Security-Policy"].split("; ")
    assert set(POLICY) <= set(policy)
    scripts = next(one for one in policy if one.startswith("script-src"))
    assert "unsafe-inline" not in scripts
    assert ("unsafe-eval" in scripts) == path.startswith("/admin/")
    styles = next(one for one in policy if one.startswith("style-src"))
    assert ("unsafe-inline" in styles) == path.startswith("/admin/")
    assert "camera=()" in headers["Permissions-Policy"]
    assert "Server" not in headers
    assert "X-Powered-By" not in headers
    if not path.startswith("/static/"):
        assert any(one in headers["Cache-Control"] for one in TOUCHY)


@pytest.mark.parametrize("kind", KINDS)
def test_answer__each_kind__has_all_headers(boss: User, kind: str) -> None:
    status, path, response = answer(boss, kind)
    response.close()
    assert response.status_code == status
    check(response.headers, path)


def test_admin__each_page__is_kept_nowhere(boss: User) -> None:
    for kind in ("page", "list", "login", "sent to log in", "no page of the admin"):
        assert "no-store" in answer(boss, kind)[2]["Cache-Control"], kind


@pytest.mark.parametrize(
    ("error", "status"), [(OperationalError("gone"), 503), (ValueError("odd"), 500)]
)
@pytest.mark.parametrize("path", ["/admin/login/", "/usage"])
def test_answer__a_view_that_fails__has_all_headers(
    monkeypatch: pytest.MonkeyPatch, path: str, error: Exception, status: int
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(own_page, "_signed_in", fail)
    monkeypatch.setattr(LoginView, "dispatch", fail)
    response = Client(raise_request_exception=False).get(path)
    assert response.status_code == status
    check(response.headers, path)


@pytest.mark.parametrize("path", REFUSED_OUTSIDE)
@pytest.mark.parametrize("status", [413, 503])
async def test_refusal__made_before_django__has_all_headers(
    settings: Settings, path: str, status: int
) -> None:
    settings.PAGE_MAX_RUNNING = settings.PAGE_MAX_WAITING = 0
    body = b"x" * (settings.PAGE_MAX_BODY_BYTES + 1 if status == 413 else 1)
    visitor = Visitor(body)
    await visitor.visit(ColdPath(_never_called), path)
    assert visitor.status == status
    sent = [
        (name.decode(), value.decode()) for name, value in visitor.sent[0]["headers"]
    ]
    headers = CaseInsensitiveMapping(sent)
    assert len(headers) == len(sent)
    check(headers, path)


async def _never_called(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("It was not refused.")


@pytest.fixture
def production(settings: Settings) -> Iterator[None]:
    settings.SECURE_HSTS_SECONDS = 31_536_000
    page_headers._headers.cache_clear()
    yield
    page_headers._headers.cache_clear()


@pytest.mark.parametrize("path", REFUSED_OUTSIDE)
def test_transport__in_production__is_https_for_a_year(
    production: None, path: str
) -> None:
    sent = page_headers.find_headers(path)["Strict-Transport-Security"]
    assert sent == "max-age=31536000; includeSubDomains; preload"


def test_server__its_name_and_version__are_not_sent() -> None:
    assert "--no-server-header" in serve.command()
